"""Scrapes: every target at every tick of a fixed schedule, each with ``up``, its duration and its number of samples."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

from tasks.base.clock import Clock
from tasks.telemetry.exposition import Exposed, ExpositionError, ExpositionParser
from tasks.telemetry.fetch import Connection, FetchError, Reply
from tasks.telemetry.series import SeriesTable
from tasks.telemetry.targets import Address, Target

ABOUT = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
"""What is said of each scrape itself."""


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
    doubtful: bool = False
    """Whether it may be the way there that failed, and not the target: nothing (whole) came in time."""


class Page(Protocol):
    """A metrics page that can be asked again and again."""

    async def get(self) -> Reply:
        """
        Ask once.

        Raises:
            FetchError: There is no usable reply.
        """

    def close(self) -> None:
        """Drop what is kept open for it."""


class KeptPage:
    """A page at *address*, over one connection of its own that is kept while it works."""

    def __init__(self, address: Address, limit_bytes: int) -> None:
        self._address = address
        self._limit = limit_bytes
        self._idle: Connection | None = None

    async def get(self) -> Reply:
        """Over the kept connection; over a new one where that was closed meanwhile."""
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
            return await connection.get(self._address.path, self._limit)
        finally:
            if connection.reusable:
                self._idle = connection
            else:
                connection.close()

    def close(self) -> None:
        """Drop the kept connection."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None


class Parser(Protocol):
    """Reads the replies of one target."""

    def parse(self, text: str, *, stamps_in_seconds: bool = False) -> Exposed:
        """
        The samples of *text* that are kept.

        Raises:
            ExpositionError: It is malformed.
        """


class TargetScraper:
    """
    Scrapes one target.

    Args:
        target: Whose page it is.
        page: The page.
        own: Numbers of what is said of the scrape itself, in the order of :data:`ABOUT`.
        parser: Reads what it exposes.
        clock: Measures the durations.
    """

    def __init__(self, target: Target, page: Page, own: tuple[int, ...], parser: Parser, clock: Clock) -> None:
        self.target = target
        self.page = page
        self._own = own
        self._clock = clock
        self._parser = parser

    @classmethod
    def at(cls, target: Target, address: Address, series: SeriesTable, *, body_limit_bytes: int, clock: Clock) -> Self:
        """The scraper of *target* at *address*, whose series are numbered by *series*."""
        own = tuple(series.number(target.role, target.name, name, {}) for name in ABOUT)
        parser = ExpositionParser(partial(series.scraped, target.role, target.name))
        return cls(target, KeptPage(address, body_limit_bytes), own, parser, clock)

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
        exposed, error, doubtful, late = Exposed(), None, False, False
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self.page.get()
            exposed = self._parsed(reply)
        except TimeoutError:
            late = True
        except (FetchError, ExpositionError) as failure:
            error, doubtful = str(failure), getattr(failure, "doubtful", False)
        duration_s = self._clock.monotonic_s() - start_s
        if duration_s > timeout_s + stall_s:
            return None
        if late or (duration_s > timeout_s and error is None):
            exposed, error, doubtful = Exposed(), f"no complete reply within {timeout_s:g} s", True
        return Scrape(self.target, tick.wall_ms, duration_s, self._with_own(exposed, duration_s, error is None), error, doubtful)

    def close(self) -> None:
        """Drop what is kept open."""
        self.page.close()

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
