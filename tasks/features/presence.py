"""
Which of a service's targets (replicas, generations of its pods) are there at a row.

A series ends without a word, so the last sample of a pod that is gone would be added to the first one of its successor. Where
a service has several targets, these rules hold at each row's end, of which nothing later is known:

- A target was *due* its longest usual distance of two scrapes after its last one. Up to then it is there.
- From then on it *has ended* if a target of the same service was scraped about when it was due, or later: its samples stand
  for no row then, however young they are.
- Until that is known, but others have been scraped since its last scrape, its service's columns are *unsure* and masked; so
  they are from the first scrape of a new target until the older ones were scraped again, or have ended. A live replica
  beside a new one, and a dead one before its successor, look alike until then.
- They are unsure, too, when the last sample of one that has not ended is too old to stand for the row.
- Rates are unsure while a target has been scraped only once within the rate window.

A target alone stands by the age of its samples only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.features.grid import OVERDUE, Grid
from tasks.features.source import Series

TARGET_LABELS = ("instance", "pod", "exported_pod", "replica", "node")
CONTAINER_LABELS = ("container", "id", "name")
"""
The containers of a pod are looked at each by itself. One that starts again in its pod is told apart by the latter two, as cAdvisor
gives them; elsewhere they mean other things.
"""
PLACE_LABELS = frozenset({"instance", "replica", "node"})
"""Labels of which a series has one whose label ``job`` says in which rhythm it was scraped."""
EARLY = 0.1
"""Share of an interval by which a scrape may come before a target was due and still show that it has ended."""
ROUNDING_S = 0.0005
"""Times are whole milliseconds; their difference as doubles is not."""

Use = Literal["counter", "gauge", "about"]
Target = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a series is: *target* of *service*, scraped by *job*, and what for."""

    service: str
    role: str
    job: str
    target: Target
    use: Use

    @classmethod
    def of(cls, series: Series, use: Use) -> Owner:
        """The owner of *series*. A job counts where it is the scraper's word, as of all that came out of a cluster or a Prometheus."""
        labels = series.labels
        names = TARGET_LABELS + CONTAINER_LABELS if series.role == "container" else TARGET_LABELS
        job = "" if PLACE_LABELS.isdisjoint(labels) else labels.get("job", "")
        return cls(series.service, series.role, job, tuple(labels.get(name, "") for name in names), use)

    @property
    def group(self) -> tuple[str, str, str]:
        """What is scraped in one rhythm."""
        return self.service, self.role, self.job


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Usual distance of two scrapes of a target, *interval_s* (0: unknown), and its longest one short of a missed scrape, *longest_s*."""

    interval_s: float
    longest_s: float

    @classmethod
    def of(cls, targets: Sequence[NDArray[np.float64]]) -> Rhythm:
        """The rhythm in which *targets*, ascending times ``(m,)`` of each, were scraped."""
        step = np.concatenate([np.diff(times) for times in targets])
        if not step.size:
            return cls(0.0, np.inf)
        usual_s = float(np.median(step))
        return cls(usual_s, max(usual_s, float(step[step < OVERDUE * usual_s].max())))


@dataclass(frozen=True, slots=True)
class Presence:
    """
    What is known of a target at *rows* (elsewhere: nothing, it is in no column there).

    *ended* ``(r,)``: it is gone. *unsure* ``(r,)``: it may be; *rate_unsure* ``(r,)``: that, or it has no rate yet.
    """

    rows: slice
    ended: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    rate_unsure: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Group:
    """
    The targets of one service that are scraped in one *rhythm*.

    *scraped* has the times ``(m,)``, ascending, m >= 1, of each; rates are taken over *window_s*.
    """

    scraped: Mapping[Target, NDArray[np.float64]]
    rhythm: Rhythm
    grid: Grid
    window_s: float

    def presences(self) -> dict[Target, Presence]:
        """The presence of each target."""
        if len(self.scraped) == 1:
            return {target: _alone(self._rows(times)) for target, times in self.scraped.items()}
        scrapes_s = np.unique(np.concatenate(list(self.scraped.values())))
        newest_s = scrapes_s[np.maximum(np.searchsorted(scrapes_s, self.grid.time_s, side="right") - 1, 0)]
        appear_s = np.append(np.sort([times[0] for times in self.scraped.values()]), np.inf)
        return {target: self._presence(times, newest_s, appear_s) for target, times in self.scraped.items()}

    def _rows(self, times: NDArray[np.float64]) -> slice:
        """From the first scrape to when neither the last one, nor any that could leave it in doubt, stands for a row."""
        rhythm = self.rhythm
        doubt_s = rhythm.longest_s if rhythm.interval_s else 0.0
        span_s = [times[0], times[-1] + doubt_s + self.grid.horizon_s(rhythm.interval_s)]
        return slice(*np.searchsorted(self.grid.time_s, span_s, side="left").tolist())

    def _presence(self, times: NDArray[np.float64], newest_s: NDArray[np.float64], appear_s: NDArray[np.float64]) -> Presence:
        """One target of several; *newest_s* ``(n,)`` is when any was last scraped, *appear_s* when each first was, and then never."""
        rows = self._rows(times)
        end_s, newest_s = self.grid.time_s[rows], newest_s[rows]
        last = np.searchsorted(times, end_s, side="right") - 1
        last_s = times[last]
        due_s = last_s + self.rhythm.longest_s
        past = end_s >= due_s - ROUNDING_S
        ended = past & (newest_s >= due_s - EARLY * self.rhythm.interval_s)
        another = appear_s[np.searchsorted(appear_s, last_s, side="right")] <= end_s
        old = end_s - last_s >= self.grid.horizon_s(self.rhythm.interval_s)
        unsure = ~ended & (old | (newest_s > last_s) & (past | another))
        once = np.searchsorted(times, end_s - self.window_s, side="right") >= last
        return Presence(rows, ended, unsure, unsure | (once & ~ended))


def _alone(rows: slice) -> Presence:
    never = np.zeros(rows.stop - rows.start, dtype=np.bool_)
    return Presence(rows, never, never, never)
