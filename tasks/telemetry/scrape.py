"""Scrapes: every target at every tick of a fixed schedule, each with ``up``, its duration and its number of samples."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from tasks.base.clock import Clock
from tasks.telemetry.exposition import Exposed, ExpositionError, ExpositionParser
from tasks.telemetry.fetch import Connection, FetchError, Reply
from tasks.telemetry.series import SeriesTable
from tasks.telemetry.targets import Address, Target


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment of the schedule: its number, when it was due (monotonic) and what the wall clock said when it came."""

    number: int
    due_s: float
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Moments ``start_s + k * interval_s`` on the monotonic clock: lateness never adds up, missed moments are not made up for."""

    start_s: float
    interval_s: float

    def due_s(self, number: int) -> float:
        """When tick *number* is due."""
        return self.start_s + number * self.interval_s

    def upcoming(self, number: int, now_s: float) -> int:
        """The tick to wait for next: *number*, or a later one when *number* is more than half an interval late."""
        late = (now_s - self.due_s(number)) / self.interval_s
        return number if late <= 0.5 else number + int(late + 0.5)


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape of one target gave; a failed one has an *error* and no samples, and is data all the same."""

    target: Target
    time_ms: int
    duration_s: float
    exposed: Exposed
    error: str | None


class TargetScraper:
    """Scrapes one target, over one connection that is kept while it works."""

    def __init__(self, target: Target, address: Address, series: SeriesTable, *, body_limit_bytes: int, clock: Clock) -> None:
        self.target = target
        self._address = address
        self._limit = body_limit_bytes
        self._clock = clock
        self._idle: Connection | None = None
        self._parser = ExpositionParser(partial(series.scraped, target.role, target.name))
        self._own = [
            series.number(target.role, target.name, name, {}) for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped")
        ]

    async def scrape(self, tick: Tick, timeout_s: float, stall_s: float) -> Scrape | None:
        """
        Scrape once.

        Args:
            tick: When; its wall time stamps all samples that bring no time of their own.
            timeout_s: A reply not complete by then is a failed scrape.
            stall_s: Being later than that *behind the timeout* means that this process stood still.

        Returns:
            What came; None when this process stood still meanwhile, since then nothing is known about the target.
        """
        start_s = self._clock.monotonic_s()
        exposed, error = Exposed(), None
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._get()
            exposed = self._parsed(reply)
        except TimeoutError:
            error = f"no complete reply within {timeout_s:g} s"
        except (FetchError, ExpositionError) as failure:
            error = str(failure)
        duration_s = self._clock.monotonic_s() - start_s
        if duration_s > timeout_s + stall_s:
            return None
        if duration_s > timeout_s and error is None:
            exposed, error = Exposed(), f"no complete reply within {timeout_s:g} s"
        return Scrape(self.target, tick.wall_ms, duration_s, self._with_own(exposed, duration_s, error is None), error)

    def close(self) -> None:
        """Drop the kept connection."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _parsed(self, reply: Reply) -> Exposed:
        try:
            text = reply.body.decode()
        except UnicodeDecodeError as error:
            raise ExpositionError(f"byte {error.start} of the reply is not UTF-8") from error
        return self._parser.parse(text, stamps_in_seconds=reply.content_type.startswith("application/openmetrics-text"))

    def _with_own(self, exposed: Exposed, duration_s: float, up: bool) -> Exposed:
        scraped = len(exposed.numbers)
        exposed.numbers.extend(self._own)
        exposed.values.extend((float(up), duration_s, float(scraped)))
        return exposed

    async def _get(self) -> Reply:
        kept, self._idle = self._idle, None
        if kept is not None:
            try:
                return await self._over(kept)
            except FetchError:
                if kept.answered:
                    raise
        return await self._over(await Connection.open(self._address))

    async def _over(self, connection: Connection) -> Reply:
        try:
            return await connection.get(self._limit)
        finally:
            if connection.reusable:
                self._idle = connection
            else:
                connection.close()
