"""
The collector process: ``python -m tasks.telemetry.collect CONFIG.json``.

Scrapes on schedule and commits a chunk every few seconds until SIGTERM, SIGINT or SIGHUP, which flush and end it. Started
again on the same folder it goes on; the time between is a gap. It prints nothing; ``collector.json`` in the folder says how
it is, ``collector-events.jsonl`` what happened to it.

Exit codes: 0 ended by a signal, 2 the configuration is wrong, 6 no space left, 7 another collector writes to the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import TidegaugeError
from tasks.base.parquet import sparing
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.heartbeat import Heartbeat
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.scrape import Schedule, Scrape, TargetScraper, Tick
from tasks.telemetry.targets import address_of

JUMP_S = 1.0
"""The wall clock moving against the monotonic one by more than this between two ticks is noted as a jump."""


@dataclass(slots=True)
class Counts:
    """What one collector did since it started."""

    scrapes: int = 0
    failed: int = 0
    samples: int = 0
    missed_ticks: int = 0
    discarded: int = 0
    """Scrapes that were under way while this process stood still."""
    last_scrape_s: float | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """The last error of each target that is down now."""


class CollectorProcess:
    """Scrapes, buffers and commits, in one event loop; the disk is written in a thread beside it."""

    def __init__(self, plan: ScrapePlan, clock: Clock) -> None:
        self.plan = plan
        self.clock = clock
        self.counts = Counts()
        self.writer = ChunkWriter(plan.out)
        self.scrapers = [
            TargetScraper(
                target,
                address_of(target.url, plan.hosts),
                self.writer.table,
                body_limit_bytes=plan.body_limit_bytes,
                clock=clock,
            )
            for target in plan.targets
        ]
        self.heartbeat = Heartbeat(plan.out, clock)
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._commit: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """
        Work until a signal comes.

        Raises:
            StorageError: The disk is full; all chunks committed before are readable.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, self.stop)
        self._event("started", chunk=self.writer.chunk)
        self._heartbeat(alive=True)
        await self._ticks()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._commit is not None:
            await asyncio.wait([self._commit])
        self._raise_failure()
        self.writer.flush()
        for scraper in self.scrapers:
            scraper.close()
        self._event("stopped", chunk=self.writer.chunk)
        self._heartbeat(alive=False)

    def stop(self) -> None:
        """Let :meth:`run` flush and return."""
        self._stop.set()

    async def _ticks(self) -> None:
        interval_s = self.plan.interval_s
        schedule = Schedule(self._first_tick_s(), interval_s)
        flush_ticks = max(1, round(self.plan.flush_s / interval_s))
        offset_s = self.clock.wall_s() - self.clock.monotonic_s()
        number, flushed = 0, 0
        while not self._stop.is_set():
            await self._wait_until(schedule.due_s(number))
            upcoming = schedule.upcoming(number, self.clock.monotonic_s())
            if upcoming > number:
                self._stood_still(upcoming - number)
                number = upcoming
                continue
            offset_s = self._watch_clock(offset_s)
            tick = Tick(number, schedule.due_s(number), round(self.clock.wall_s() * 1000))
            if not self._stop.is_set():
                self._start(tick)
            number += 1
            if number - flushed >= flush_ticks:
                flushed = number
                asyncio.get_running_loop().call_later(interval_s / 2, self._flush_soon)  # between two bursts of scrapes
            self._raise_failure()

    def _first_tick_s(self) -> float:
        """The next whole multiple of the interval on the wall clock: the middle of a row of the grid, far from its borders."""
        interval_s = self.plan.interval_s
        return self.clock.monotonic_s() + -self.clock.wall_s() % interval_s

    async def _wait_until(self, due_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(0.0, due_s - self.clock.monotonic_s()))

    def _start(self, tick: Tick) -> None:
        for scraper in self.scrapers:
            task = asyncio.create_task(self._scrape(scraper, tick))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self._stop.set()

    async def _scrape(self, scraper: TargetScraper, tick: Tick) -> None:
        scrape = await scraper.scrape(tick, self.plan.timeout_s, stall_s=self.plan.interval_s / 2)
        if scrape is None:
            self.counts.discarded += 1
            return
        self.writer.add(scrape.time_ms, scrape.exposed.numbers, scrape.exposed.values, scrape.exposed.stamps_ms)
        self._count(scrape)

    def _count(self, scrape: Scrape) -> None:
        counts, name = self.counts, scrape.target.name
        counts.scrapes += 1
        counts.samples += len(scrape.exposed.numbers)
        counts.last_scrape_s = scrape.time_ms / 1000
        if scrape.error is None:
            if counts.errors.pop(name, None) is not None:
                self._event("target_up", target=name)
            return
        counts.failed += 1
        if name not in counts.errors:
            self._event("target_down", target=name, error=scrape.error)
        counts.errors[name] = scrape.error

    def _flush_soon(self) -> None:
        if self._commit is None and self.writer.rotate():
            self._commit = asyncio.create_task(asyncio.to_thread(self._write))
            self._commit.add_done_callback(self._committed)

    def _write(self) -> None:
        self.writer.commit()
        self._heartbeat(alive=True)

    def _committed(self, task: asyncio.Task[None]) -> None:
        self._commit = None
        self._done(task)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _stood_still(self, missed: int) -> None:
        self.counts.missed_ticks += missed
        self._event("stood_still", missed_ticks=missed)

    def _watch_clock(self, offset_s: float) -> float:
        now_s = self.clock.wall_s() - self.clock.monotonic_s()
        if abs(now_s - offset_s) > JUMP_S:
            self._event("clock_jump", by_s=round(now_s - offset_s, 3))
        return now_s

    def _event(self, kind: str, **facts: Any) -> None:
        self.heartbeat.event(kind, **facts)

    def _heartbeat(self, *, alive: bool) -> None:
        counts = self.counts
        facts = {
            "chunk": self.writer.chunk,
            "last_scrape_s": counts.last_scrape_s,
            "scrapes": counts.scrapes,
            "failed": counts.failed,
            "samples": counts.samples,
            "series": len(self.writer.table),
            "missed_ticks": counts.missed_ticks,
            "discarded": counts.discarded,
            "down": dict(counts.errors),
        }
        self.heartbeat.say(facts, alive=alive)


def main(arguments: list[str]) -> int:
    """Run the collector; its exit code."""
    sparing()
    try:
        if len(arguments) != 1:
            raise TidegaugeError("one argument is wanted: the configuration file")
        plan = ScrapePlan.read(Path(arguments[0]))
        asyncio.run(_run(plan))
    except TidegaugeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _run(plan: ScrapePlan) -> None:
    await CollectorProcess(plan, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
