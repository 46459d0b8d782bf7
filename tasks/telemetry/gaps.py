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
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

_SLACK = 1.5


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


def gaps(series: Sequence[Series], samples: Samples, *, interval_s: float, span: tuple[float, float] | None = None) -> tuple[Gap, ...]:
    """
    All gaps of the recording, in order of time.

    Args:
        series: Its series.
        samples: Its samples.
        interval_s: Planned time between two scrapes of a target.
        span: First and last wall time at which there should be samples; None: from the first to the last sample.

    Returns:
        Holes in the union of all targets (``target`` None), and those of single targets outside of them; a target is known
        by its series ``up``.
    """
    times = {(one.service, one.role): _times(samples, one.id) for one in series if one.name == "up" and not one.labels}
    seen = np.unique(np.concatenate([np.empty(0, np.int64), *times.values()]))
    if span is None:
        if not len(seen):
            return ()
        span = (float(seen[0]) / 1000, float(seen[-1]) / 1000)
    common = [Gap(start, end, None, None, missing) for start, end, missing in _holes(seen, interval_s, span)]
    alone = [
        Gap(start, end, target, role, missing)
        for (target, role), moments in times.items()
        for start, end, missing in _holes(moments, interval_s, span)
    ]
    result = list(common)
    for gap in alone:
        left = gap.missing - sum(hole.missing for hole in common if gap.start_s <= hole.start_s and hole.end_s <= gap.end_s)
        if left > 0 and not any(_same(gap, hole, interval_s) for hole in common):
            result.append(Gap(gap.start_s, gap.end_s, gap.target, gap.role, left))
    return tuple(sorted(result, key=lambda gap: (gap.start_s, gap.end_s, gap.target or "", gap.role or "")))


def gaps_json(found: Sequence[Gap], *, interval_s: float) -> dict[str, Any]:
    """The content of ``gaps.json``."""
    return {"interval_s": interval_s, "gaps": [gap.to_json() for gap in found]}


def _times(samples: Samples, number: int) -> NDArray[np.int64]:
    first, last = np.searchsorted(samples.series, [number, number + 1])
    return samples.time_ms[first:last]


def _holes(time_ms: NDArray[np.int64], interval_s: float, span: tuple[float, float]) -> list[tuple[float, float, int]]:
    """Start and end in seconds and number of missing samples of each hole in the sorted *time_ms* within *span*."""
    start_s, end_s = span
    inside = time_ms[(time_ms >= start_s * 1000) & (time_ms <= end_s * 1000)] / 1000
    edges = np.concatenate([[start_s], inside, [end_s]])
    step = np.diff(edges)
    holes: list[tuple[float, float, int]] = []
    for index in np.flatnonzero(step >= _SLACK * interval_s).tolist():
        at_edge = (index == 0) + (index == len(step) - 1)
        missing = max(1, round(float(step[index]) / interval_s) - 1 + at_edge)
        holes.append((float(edges[index]), float(edges[index + 1]), missing))
    return holes


def _same(gap: Gap, hole: Gap, interval_s: float) -> bool:
    return abs(gap.start_s - hole.start_s) < interval_s and abs(gap.end_s - hole.end_s) < interval_s
