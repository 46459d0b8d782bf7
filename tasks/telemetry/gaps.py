"""
The gap ledger: holes found in the samples themselves, never taken from the clock of a crash.

Every target has an ``up`` sample for each scrape, also for a failed one, so a missing ``up`` is a moment at which nobody
looked. Scrapes keep to a schedule within half an interval; two neighbours at least one and a half intervals apart are a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.clock import iso
from tasks.telemetry.arrays import distinct, median
from tasks.telemetry.causes import Cause
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

_SLACK = 1.5
_PLACES = frozenset({"instance", "replica", "node"})
"""Labels that tell one target of a job from another."""
Holes = NDArray[np.float64]
"""``(n, 3)``: start and end in seconds, and how many looks are missing in between."""


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A hole in the data, between the last sample before it and the first one after it (or the span's edge)."""

    start_s: float
    """Wall time, seconds since 1970."""
    end_s: float
    """Wall time, seconds since 1970."""
    target: str | None
    """None: no target was scraped; such a hole is not listed again for each target."""
    role: str | None
    missing: int
    """Scrapes that should have been there."""
    cause: Cause | None = None
    """Why, by what the collecting process told (:mod:`tasks.telemetry.outages`); None: it is not known."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; times in ISO 8601, UTC."""
        return {
            "start": iso(self.start_s),
            "end": iso(self.end_s),
            "target": self.target,
            "role": self.role,
            "missing": self.missing,
            "cause": None if self.cause is None else self.cause.to_json(),
        }


@dataclass(frozen=True, slots=True)
class _Looks:
    """When a target was looked at: all its series ``up``, of which a pod that is replaced, or runs twice, has several."""

    target: str
    role: str
    alone: tuple[NDArray[np.int64], ...]
    """Times of each series, in ms."""

    @property
    def together(self) -> NDArray[np.int64]:
        """Their union."""
        return self.alone[0] if len(self.alone) == 1 else distinct(np.concatenate(self.alone))

    def interval_s(self, planned_s: float | None) -> float | None:
        """The planned distance of two looks, or the usual one; None where there are not two."""
        if planned_s is not None:
            return planned_s
        steps = np.concatenate([np.diff(times) for times in self.alone])
        if not len(steps):
            return None
        regular = steps[steps < _SLACK * median(steps)]  # their mean is exact where single looks come early or late
        return float(np.mean(regular)) / 1000

    def holes(self, interval_s: float, span: tuple[float, float]) -> Holes:
        """Holes of the target in *span*, and those of one of its series while that lived."""
        found = _holes(self.together, interval_s, span)
        if len(self.alone) < 2:
            return found
        known = set(map(tuple, found.tolist()))
        alone = self._alone(interval_s, span)
        new = [tuple(hole) not in known for hole in alone.tolist()]
        return np.concatenate([found, alone[np.array(new, np.bool_)]])

    def missing(self, interval_s: float, span: tuple[float, float]) -> int:
        """How many looks are missing in *span*: of each series while it lived, and of all of them together where none did."""
        alone, together = self._alone(interval_s, span), _holes(self.together, interval_s, span)
        begun = np.searchsorted(np.sort(alone[:, 0]), together[:, 1], side="left")
        over = np.searchsorted(np.sort(alone[:, 1]), together[:, 0], side="right")
        return int(alone[:, 2].sum() + together[begun == over, 2].sum())

    def _alone(self, interval_s: float, span: tuple[float, float]) -> Holes:
        found = [np.empty((0, 3))]
        for times in self.alone:
            life = (max(span[0], times[0] / 1000), min(span[1], times[-1] / 1000)) if len(times) else (0.0, -1.0)
            found += [_holes(times, interval_s, life)] if life[0] < life[1] else []
        return np.concatenate(found)


def is_look(one: Series) -> bool:
    """Whether the series is the ``up`` of a scrape, a scraper's own or a Prometheus', and no metric that somebody exposes."""
    return one.name == "up" and tells_of_scrapes(one)


def tells_of_scrapes(one: Series) -> bool:
    """Whether a series with a name that scrapers use has the labels of one that a scraper told, and says of whom, if of several."""
    return not one.labels or ("job" in one.labels and not _PLACES.isdisjoint(one.labels))


def gaps(
    series: Sequence[Series], samples: Samples, *, interval_s: float | None, span: tuple[float, float] | None = None
) -> tuple[Gap, ...]:
    """
    All gaps of the recording, in order of time.

    Args:
        series: Its series.
        samples: Its samples, in order of series and time.
        interval_s: Planned time between two scrapes of a target; None: each target's usual one.
        span: First and last wall time at which there should be samples; None: from the first to the last sample.

    Returns:
        Holes in the union of all targets (``target`` None), and those of single targets outside of them; a target is known
        by its series ``up``.
    """
    looks = _looks(series, samples)
    seen = distinct(np.concatenate([np.empty(0, np.int64), *(one.together for one in looks)]))
    intervals = [one.interval_s(interval_s) for one in looks]
    shortest_s = min((value for value in intervals if value is not None), default=interval_s)
    if span is None:
        if not len(seen):
            return ()
        span = (float(seen[0]) / 1000, float(seen[-1]) / 1000)
    if shortest_s is None:
        return ()
    own = [(one, own_s or shortest_s) for one, own_s in zip(looks, intervals, strict=True)]
    common = _holes(seen, shortest_s, span)
    common = common[_shared(common, [(_holes(one.together, own_s, span), own_s) for one, own_s in own])]
    result = _listed(common, None, None)
    for one, own_s in own:
        shared = common[common[:, 1] - common[:, 0] >= _SLACK * own_s - 1e-6]  # in shorter ones it was not due
        holes = one.holes(own_s, span)
        holes[:, 2] -= np.rint(_within(holes, shared) * shortest_s / own_s)
        result += _listed(holes[(holes[:, 2] > 0) & ~_among(holes, shared, own_s)], one.target, one.role)
    return tuple(sorted(result, key=lambda gap: (gap.start_s, gap.end_s, gap.target or "", gap.role or "")))


def _listed(holes: Holes, target: str | None, role: str | None) -> list[Gap]:
    return [Gap(start_s, end_s, target, role, int(missing)) for start_s, end_s, missing in holes.tolist()]


def missing_looks(series: Sequence[Series], samples: Samples, *, span: tuple[float, float]) -> int:
    """How many looks at a target are missing in *span* by the target's usual interval, over all targets of which there are two."""
    looks = _looks(series, samples)
    return sum(one.missing(own_s, span) for one in looks if (own_s := one.interval_s(None)) is not None)


def _shared(common: Holes, own: Sequence[tuple[Holes, float]]) -> NDArray[np.bool_]:
    """
    Which of the holes in which nobody was looked at begin and end as holes of targets that were due in it.

    Otherwise one lies between looks at targets that are seldom due, and the others' holes are longer.

    Args:
        common: Those in the looks at all targets together.
        own: Those of each target, and its interval.
    """
    edges = np.zeros((len(common), 2), np.bool_)
    for holes, own_s in own:
        due = _SLACK * own_s <= common[:, 1] - common[:, 0] + 1e-6
        for end in (0, 1):
            edges[:, end] |= due & (_distance(common[:, end], holes[:, end]) < own_s)
    return np.asarray(edges.all(axis=1))


def _distance(moments: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each of *moments* is from the nearest of those *known*, which ascend; infinitely far where there are none."""
    if not len(known):
        return np.full(len(moments), np.inf)
    place = np.searchsorted(known, moments)
    before, behind = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
    return np.minimum(np.abs(before - moments), np.abs(behind - moments))


def _within(holes: Holes, shared: Holes) -> NDArray[np.float64]:
    """How many looks are missing in those holes of *shared* that lie inside of each of *holes*."""
    missing = np.concatenate([[0.0], np.cumsum(shared[:, 2])])
    first, last = np.searchsorted(shared[:, 0], holes[:, 0]), np.searchsorted(shared[:, 1], holes[:, 1], side="right")
    return np.asarray(missing[np.maximum(first, last)] - missing[first])


def _among(holes: Holes, shared: Holes, interval_s: float) -> NDArray[np.bool_]:
    """Which of *holes* begin and end like one of *shared*, in order of time, each of which is longer than *interval_s*."""
    found = np.zeros(len(holes), np.bool_)
    first = np.searchsorted(shared[:, 0], holes[:, 0] - interval_s) - 1
    for offset in range(4):  # so few begin less than an interval away, on either side
        near = first + offset
        there = (near >= 0) & (near < len(shared))
        other = shared[near[there]]
        found[there] |= (np.abs(holes[there, 0] - other[:, 0]) < interval_s) & (np.abs(holes[there, 1] - other[:, 1]) < interval_s)
    return found


def _looks(series: Sequence[Series], samples: Samples) -> list[_Looks]:
    found: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
    for one in series:
        if is_look(one):
            found.setdefault((one.service, one.role), []).append(_times(samples, one.id))
    return [_Looks(target, role, tuple(times)) for (target, role), times in found.items()]


def gaps_json(found: Sequence[Gap], *, interval_s: float | None) -> dict[str, Any]:
    """The content of ``gaps.json``."""
    return {"interval_s": interval_s, "gaps": [gap.to_json() for gap in found]}


def _times(samples: Samples, number: int) -> NDArray[np.int64]:
    first, last = np.searchsorted(samples.series, [number, number + 1])
    return samples.time_ms[first:last]


def _holes(time_ms: NDArray[np.int64], interval_s: float, span: tuple[float, float]) -> Holes:
    """The holes in the sorted *time_ms* within *span*, in order of time."""
    start_s, end_s = span
    inside = time_ms[(time_ms >= start_s * 1000) & (time_ms <= end_s * 1000)] / 1000
    edges = np.concatenate([[start_s], inside, [end_s]])
    step = np.diff(edges)
    index = np.flatnonzero(step >= _SLACK * interval_s)
    at_edge = (index == 0).astype(np.int64) + (index == len(step) - 1)
    missing = np.maximum(1, np.rint(step[index] / interval_s) - 1 + at_edge)
    return np.column_stack([edges[index], edges[index + 1], missing])
