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
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

_SLACK = 1.5
_PLACES = frozenset({"instance", "replica", "node"})
"""Labels that tell one target of a job from another."""
Hole = tuple[float, float, int]
"""Start and end in seconds, and how many looks are missing in between."""


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

    def to_json(self) -> dict[str, Any]:
        """A JSON object; times in ISO 8601, UTC."""
        return {"start": iso(self.start_s), "end": iso(self.end_s), "target": self.target, "role": self.role, "missing": self.missing}


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

    def holes(self, interval_s: float, span: tuple[float, float]) -> list[Hole]:
        """Holes of the target in *span*, and those of one of its series while that lived."""
        found = _holes(self.together, interval_s, span)
        return found + [hole for hole in self._alone(interval_s, span) if len(self.alone) > 1 and hole not in found]

    def missing(self, interval_s: float, span: tuple[float, float]) -> int:
        """How many looks are missing in *span*: of each series while it lived, and of all of them together where none did."""
        alone = self._alone(interval_s, span)
        nobody = [
            hole for hole in _holes(self.together, interval_s, span) if not any(one[0] < hole[1] and hole[0] < one[1] for one in alone)
        ]
        return sum(missing for _, _, missing in (*alone, *nobody))

    def _alone(self, interval_s: float, span: tuple[float, float]) -> list[Hole]:
        found: list[Hole] = []
        for times in self.alone:
            life = (max(span[0], times[0] / 1000), min(span[1], times[-1] / 1000)) if len(times) else (0.0, -1.0)
            found += _holes(times, interval_s, life) if life[0] < life[1] else []
        return found


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
    pairs = [(one, own_s or shortest_s) for one, own_s in zip(looks, intervals, strict=True)]
    own = np.array([(start, end, own_s) for one, own_s in pairs for start, end, _ in _holes(one.together, own_s, span)]).reshape(-1, 3)
    common = [Gap(*hole[:2], None, None, hole[2]) for hole in _holes(seen, shortest_s, span) if _shared(hole, own)]
    result = list(common)
    for one, own_s in pairs:
        shared = [hole for hole in common if hole.end_s - hole.start_s >= _SLACK * own_s - 1e-6]  # in shorter ones it was not due
        for start, end, missing in one.holes(own_s, span):
            within = sum(hole.missing for hole in shared if start <= hole.start_s and hole.end_s <= end)
            gap = Gap(start, end, one.target, one.role, missing - round(within * shortest_s / own_s))
            if gap.missing > 0 and not any(_same(gap, hole, own_s) for hole in shared):
                result.append(gap)
    return tuple(sorted(result, key=lambda gap: (gap.start_s, gap.end_s, gap.target or "", gap.role or "")))


def missing_looks(series: Sequence[Series], samples: Samples, *, span: tuple[float, float]) -> int:
    """How many looks at a target are missing in *span* by the target's usual interval, over all targets of which there are two."""
    looks = _looks(series, samples)
    return sum(one.missing(own_s, span) for one in looks if (own_s := one.interval_s(None)) is not None)


def _shared(hole: Hole, own: NDArray[np.float64]) -> bool:
    """
    Whether *hole*, in which nobody was looked at, begins and ends as holes of targets that were due in it.

    Otherwise it lies between looks at targets that are seldom due, and the others' holes are longer.

    Args:
        hole: One in the looks at all targets together.
        own: All holes of all targets, ``(n, 3)``: start, end, and the target's interval.
    """
    due = own[_SLACK * own[:, 2] <= hole[1] - hole[0] + 1e-6]
    return all(bool(np.any(np.abs(due[:, end] - hole[end]) < due[:, 2])) for end in (0, 1))


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


def _holes(time_ms: NDArray[np.int64], interval_s: float, span: tuple[float, float]) -> list[Hole]:
    """The holes in the sorted *time_ms* within *span*."""
    start_s, end_s = span
    inside = time_ms[(time_ms >= start_s * 1000) & (time_ms <= end_s * 1000)] / 1000
    edges = np.concatenate([[start_s], inside, [end_s]])
    step = np.diff(edges)
    holes: list[Hole] = []
    for index in np.flatnonzero(step >= _SLACK * interval_s).tolist():
        at_edge = (index == 0) + (index == len(step) - 1)
        missing = max(1, round(float(step[index]) / interval_s) - 1 + at_edge)
        holes.append((float(edges[index]), float(edges[index + 1]), missing))
    return holes


def _same(gap: Gap, hole: Gap, interval_s: float) -> bool:
    return abs(gap.start_s - hole.start_s) < interval_s and abs(gap.end_s - hole.end_s) < interval_s
