"""What a load under way is to those who watch over it, wherever its generators run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tasks.load.raw import RawSecond


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """The last complete second of the load; numbers are 0 and *second* is None before the first one."""

    alive: bool
    """Whether the generator runs; of several, whether all do."""
    finished: bool
    """Whether it ended in order: its time was over, or it was stopped."""
    restarts: int
    second: int | None = None
    """Seconds since 1970 (UTC)."""
    users_planned: float = 0.0
    users_present: int = 0
    journeys_planned: float = 0.0
    """Journeys that should have started in that second."""
    journeys_started: int = 0
    journeys_completed: int = 0
    requests_per_s: float = 0.0
    failures_per_s: float = 0.0
    declined_per_s: float = 0.0
    lag_s: float = 0.0
    """Largest lag of a journey that started in that second."""
    generator_cpu_ratio: float = 0.0
    """Share of one core; of several generators, the largest."""
    generator_rss_bytes: int = 0


def status_of(last: RawSecond | None, *, alive: bool, finished: bool, restarts: int) -> LoadStatus:
    """The status with *last* as its last complete second."""
    if last is None:
        return LoadStatus(alive, finished, restarts)
    counts = last.endpoints.values()
    return LoadStatus(
        alive=alive,
        finished=finished,
        restarts=restarts,
        second=last.second,
        users_planned=last.users_planned,
        users_present=last.users_present,
        journeys_planned=last.journeys_planned,
        journeys_started=last.journeys_started,
        journeys_completed=last.journeys_completed,
        requests_per_s=float(sum(count.requests for count in counts)),
        failures_per_s=float(sum(count.failures for count in counts)),
        declined_per_s=float(sum(count.declined for count in counts)),
        lag_s=last.lag_s,
        generator_cpu_ratio=last.cpu_ratio,
        generator_rss_bytes=last.rss_bytes,
    )


@dataclass(frozen=True, slots=True)
class Restart:
    """A generator that was replaced."""

    time_s: float
    """When it was noticed, seconds since 1970 (UTC)."""
    why: Literal["dead", "hung"]
    exit_status: int | None
    """Of its process; None when it was hung, or nobody knows."""
    last_second: int | None
    """The last second it had logged."""
    reason: str = "generator-restarted"
    who: str = "the load generator"


class Load(Protocol):
    """
    A load that was started.

    Call :meth:`keep` every second or so from the thread that started it; it returns at once.
    """

    @property
    def origin_wall_s(self) -> float | None:
        """When the load began or will begin, seconds since 1970 (UTC)."""

    @property
    def restarts(self) -> Sequence[Restart]:
        """Every generator that was replaced so far."""

    def keep(self) -> Restart | None:
        """
        See to it that every generator works.

        Returns:
            One that was lost and is replaced, each once; None when all is well (or the load is over).

        Raises:
            PreflightError: It is lost again and again before it has logged one second.
        """

    def status(self) -> LoadStatus:
        """What the load is doing."""

    def stop(self, grace_s: float = 10.0) -> LoadStatus:
        """
        End the load: ask, wait at most *grace_s* for journeys under way, then kill. Safe to call twice.

        Returns:
            The status after the end; ``finished`` is False when it had to be killed.
        """
