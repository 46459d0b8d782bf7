"""
The loop of a collecting process: ticks on a fixed schedule, a chunk every few seconds, until it is stopped.

What is done at a tick is its subclass's: which targets there are, and what their scrapes give.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.base.parquet import sparing
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.heartbeat import Heartbeat
from tasks.telemetry.scrape import Schedule, Scrape, Tick

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


class Collecting(ABC):
    """
    Ticks, buffers and commits, in one event loop; the disk is written in a thread beside it.

    Args:
        out: The recording's folder.
        interval_s: Time between two ticks.
        flush_s: Time between two chunks.
        clock: Wall time for samples, monotonic time for the schedule.
    """

    def __init__(self, out: Path, interval_s: float, flush_s: float, clock: Clock) -> None:
        self.interval_s = interval_s
        self.flush_s = flush_s
        self.clock = clock
        self.counts = Counts()
        self.writer = ChunkWriter(out)
        self.heartbeat = Heartbeat(out, clock)
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._commit: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    @abstractmethod
    def open(self) -> None:
        """Start what goes on beside the ticks, by :meth:`start`."""

    @abstractmethod
    def begin(self, tick: Tick) -> None:
        """Start what is to be done at *tick*, by :meth:`start`; this must not wait."""

    @abstractmethod
    def close(self) -> None:
        """Drop what is kept open."""

    def facts(self) -> dict[str, Any]:
        """What the heartbeat says besides the counts."""
        return {}

    async def run(self) -> None:
        """
        Work until a signal comes.

        Raises:
            StorageError: The disk is full; all chunks committed before are readable.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, self.stop)
        self.event("started", chunk=self.writer.chunk)
        self._heartbeat(alive=True)
        self.open()
        await self._ticks()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._commit is not None:
            await asyncio.wait([self._commit])
        self._raise_failure()
        self.writer.flush()
        self.close()
        self.event("stopped", chunk=self.writer.chunk)
        self._heartbeat(alive=False)

    def stop(self) -> None:
        """Let :meth:`run` flush and return."""
        self._stop.set()

    async def _ticks(self) -> None:
        interval_s = self.interval_s
        schedule = Schedule(self._first_tick_s(), interval_s)
        flush_ticks = max(1, round(self.flush_s / interval_s))
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
                self.begin(tick)
            number += 1
            if number - flushed >= flush_ticks:
                flushed = number
                asyncio.get_running_loop().call_later(interval_s / 2, self._flush_soon)  # between two bursts of scrapes
            self._raise_failure()

    def _first_tick_s(self) -> float:
        """The next whole multiple of the interval on the wall clock: the middle of a row of the grid, far from its borders."""
        return self.clock.monotonic_s() + -self.clock.wall_s() % self.interval_s

    async def _wait_until(self, due_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(0.0, due_s - self.clock.monotonic_s()))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* beside the schedule; where it fails, all ends."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self._stop.set()

    def take(self, scrape: Scrape | None) -> None:
        """Keep what *scrape* gave; None: this process stood still meanwhile."""
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
                self.event("target_up", target=name)
            return
        counts.failed += 1
        if name not in counts.errors:
            self.event("target_down", target=name, error=scrape.error)
        counts.errors[name] = scrape.error

    def _flush_soon(self) -> None:
        if self._commit is None:
            work = self._write if self.writer.rotate() else partial(self._heartbeat, alive=True)  # a sign of life, though nothing came
            self._commit = asyncio.create_task(asyncio.to_thread(work))
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
        self.event("stood_still", missed_ticks=missed)

    def _watch_clock(self, offset_s: float) -> float:
        now_s = self.clock.wall_s() - self.clock.monotonic_s()
        if abs(now_s - offset_s) > JUMP_S:
            self.event("clock_jump", by_s=round(now_s - offset_s, 3))
        return now_s

    def event(self, kind: str, **facts: Any) -> None:
        """Note what happened."""
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
            **self.facts(),
        }
        self.heartbeat.say(facts, alive=alive)


def served(arguments: list[str], made: Callable[[Path], Collecting]) -> int:
    """
    Run a collecting process until a signal ends it; its exit code.

    Args:
        arguments: The command line: the file with its configuration.
        made: Makes the collector out of that file, inside of the event loop.
    """
    sparing()
    try:
        if len(arguments) != 1:
            raise TidegaugeError("one argument is wanted: the configuration file")
        asyncio.run(_run(Path(arguments[0]), made))
    except TidegaugeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _run(path: Path, made: Callable[[Path], Collecting]) -> None:
    await made(path).run()
