"""Everybody once, over a bounded number of connections; and how long that took, so that a round that cannot be kept is told."""

from __future__ import annotations

import asyncio
import math
import resource
import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import StorageError
from tasks.base.files import read_json
from tasks.telemetry.kube.api import CONNECTIONS
from tasks.telemetry.kube.refusals import Trouble
from tasks.telemetry.scrape import Scrape, TargetScraper, Tick

RECENT = 720
"""The median is that of so many rounds, an hour at the default interval."""
SPARED_FILES = 64
"""Files that stay free for watches, chunks, journals and logs where a process may not open many."""
TOLD = ("rounds", "late", "left_out", "targets", "connections", "longest_s", "usual_s", "needed_s")

Ask = Callable[[TargetScraper, Tick], Awaitable[Scrape | Trouble | None]]
"""Scrapes one target; or says why it could not be asked; None: this process stood still meanwhile."""


def connections(targets: int, timeout_s: float, interval_s: float, most: int = CONNECTIONS) -> int:
    """
    Over how many connections a round goes.

    With so many a round in which everybody is silent for the whole of *timeout_s* is over when the next one begins, since each
    waits for no more of them than that leaves time for; but never more than *most*. Where that is fewer, 5,000 answers of 50 ms
    still take a second.
    """
    each = max(1, int(interval_s / timeout_s))
    return max(1, min(most, math.ceil(targets / each)))


def bound(most: int) -> int:
    """*most*, or fewer where this process may not open so many files: what it cannot open itself would be called no answer."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files - SPARED_FILES))


def turned(scrapers: Sequence[TargetScraper], first: str | None) -> deque[TargetScraper]:
    """*scrapers* in their order, beginning with the one called *first*: whom the last round had no time for comes first."""
    found = deque(scrapers)
    found.rotate(-next((place for place, one in enumerate(scrapers) if one.target.name == first), 0))
    return found


@dataclass(slots=True)
class Spent:
    """Where the time of a round's connections went, added up."""

    waited_s: float = 0.0
    """Until they were free of the round before."""
    silent_s: float = 0.0
    """With those who did not answer, or whom the API server would not ask."""
    answers_s: float = 0.0
    answers: int = 0

    def add(self, found: Scrape | Trouble | None, took_s: float) -> None:
        """What one target took."""
        if isinstance(found, Scrape) and not found.doubtful:
            self.answers += 1
            self.answers_s += took_s
        else:
            self.silent_s += took_s

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.waited_s + self.silent_s + self.answers_s


@dataclass(frozen=True, slots=True)
class Round:
    """One round."""

    targets: int
    asked: dict[str, tuple[TargetScraper, Scrape | Trouble | None]]
    """By name of the target; those that are not in it were left out for lack of time."""
    took_s: float
    connections: int
    spent: Spent

    @property
    def left_out(self) -> int:
        """How many nobody had time to ask."""
        return self.targets - len(self.asked)

    @property
    def needed_s(self) -> float | None:
        """
        How long it would have taken to ask all, had those who were left out answered as the others did.

        None: silent targets took the time, so that few answered, or nobody knows how many more would have been silent.
        """
        spent = self.spent
        if 2 * spent.answers < self.connections or spent.answers_s < spent.silent_s:
            return None
        return (spent.total_s + self.left_out * spent.answers_s / max(1, spent.answers)) / self.connections

    @property
    def scrapes(self) -> list[Scrape]:
        """What came."""
        return [one for _, one in self.asked.values() if isinstance(one, Scrape)]


def late_text(one: Round, interval_s: float) -> str:
    """What is said of a round in which somebody was left out."""
    longer = f"longer than the interval of {interval_s:g} s"
    if one.needed_s is None:
        return f"a round of {one.targets} targets is {longer}: silent targets took the time"
    return f"a round of {one.targets} targets takes {one.needed_s:.1f} s, {longer}"


class Rounds:
    """
    Asks everybody at each tick.

    Waiting for a connection is no time of the target: its timeout begins when it is asked. A round ends when the next one is due;
    whoever was not asked by then is left out, and comes first the next time.
    """

    def __init__(self, clock: Clock, timeout_s: float, interval_s: float) -> None:
        self._clock = clock
        self._timeout_s, self._interval_s = timeout_s, interval_s
        self._most = bound(CONNECTIONS)
        self._free = asyncio.Semaphore(self._most)
        self._first: str | None = None

    async def all(self, tick: Tick, scrapers: Sequence[TargetScraper], ask: Ask) -> Round:
        """
        Ask *scrapers*.

        Raises:
            TidegaugeError: *ask* did.
        """
        waiting, due_s = turned(scrapers, self._first), tick.due_s + self._interval_s
        asked: dict[str, tuple[TargetScraper, Scrape | Trouble | None]] = {}
        spent = Spent()

        async def work() -> None:
            while waiting and await self._got_one(due_s, spent):
                try:
                    if waiting:
                        scraper, since_s = waiting.popleft(), self._clock.monotonic_s()
                        asked[scraper.target.name] = (scraper, found := await ask(scraper, tick))
                        spent.add(found, self._clock.monotonic_s() - since_s)
                finally:
                    self._free.release()

        count = connections(len(scrapers), self._timeout_s, self._interval_s, self._most)
        begun_s = self._clock.monotonic_s()
        await asyncio.gather(*(work() for _ in range(count)))
        self._first = waiting[0].target.name if waiting else self._first
        return Round(len(scrapers), asked, self._clock.monotonic_s() - begun_s, count, spent)

    async def _got_one(self, due_s: float, spent: Spent) -> bool:
        """Take one of the connections that all rounds share; False: none got free before *due_s*."""
        since_s = self._clock.monotonic_s()
        left_s = due_s - since_s
        if left_s <= 0:
            return False
        try:
            async with asyncio.timeout(left_s):
                await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            spent.waited_s += self._clock.monotonic_s() - since_s
        return True


@dataclass(slots=True)
class RoundCounts:
    """What is told of the rounds in which the API server answered, those of earlier starts included."""

    interval_s: float
    rounds: int = 0
    late: int = 0
    """Rounds in which somebody was left out."""
    left_out: int = 0
    """Scrapes that were left out."""
    targets: int = 0
    connections: int = 0
    longest_s: float = 0.0
    usual_s: float = 0.0
    """Median of those of late, of this start where it had any."""
    needed_s: float | None = None
    """How long the late ones would have taken, had they not been ended; likewise. None: none was late, or that is not known."""
    _took_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _needed_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @classmethod
    def resumed(cls, folder: Path, interval_s: float) -> RoundCounts:
        """Go on where a process before this one in *folder* was; what cannot be read is no reason to stop."""
        try:
            told = read_json(folder / "collector.json")["kubelet"]["rounds"]
            return cls(interval_s, **{name: told[name] for name in TOLD})
        except (StorageError, KeyError, TypeError):
            return cls(interval_s)

    def add(self, one: Round) -> None:
        """Count a round."""
        self.rounds += 1
        self.targets = max(self.targets, one.targets)
        self.connections = max(self.connections, one.connections)
        self.longest_s = max(self.longest_s, one.took_s)
        self._took_s.append(one.took_s)
        if one.left_out:
            self.late += 1
            self.left_out += one.left_out
            self._needed_s.extend([] if one.needed_s is None else [one.needed_s])

    def to_json(self) -> Mapping[str, Any]:
        """A JSON object; times in seconds."""
        self.usual_s = statistics.median(self._took_s or [self.usual_s])
        self.needed_s = statistics.median(self._needed_s) if self._needed_s else self.needed_s
        told = {name: getattr(self, name) for name in TOLD}
        return {"interval_s": self.interval_s, **{name: None if value is None else round(value, 3) for name, value in told.items()}}
