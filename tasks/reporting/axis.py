"""
From data to a drawing's coordinates: scales, tick marks, and the shortest faithful outline of a long series.

Where ticks go and how they are written is matplotlib's (:mod:`matplotlib.ticker`). The marks are our own small SVG
(:mod:`tasks.reporting.svg`): matplotlib's carries inline styles, which the page's content policy forbids, fixed colours, which
do not follow the reader's light or dark theme, and text that shrinks with the picture, to 4 px on a telephone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.reporting.model import Floats

TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
FLAT = {"ratio": 0.1, "s": 0.1, "bytes": 1e6}
"""How much an axis shows above zero when all is zero."""
PREFIXED = {"s": "s", "bytes": "B", "bytes_per_s": "B/s"}


@dataclass(frozen=True, slots=True)
class Scale:
    """
    A vertical axis: *low* and *high* are its ends, *ticks* the values that get a line and a label.

    With *pivot* and *unit* the axis is compressed, ``asinh(3 (v - pivot) / unit)``: even near *pivot*, logarithmic far away.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    pivot: float | None = None
    unit: float = 1.0

    def place(self, values: Floats) -> Floats:
        """Shares of the height from the bottom (0-1) for *values*; NaN stays NaN; outside the ends is clipped."""
        low, high = self._bent(np.asarray([self.low, self.high], dtype=np.float64))
        shares: Floats = np.clip((self._bent(np.asarray(values, dtype=np.float64)) - low) / (high - low), 0.0, 1.0)
        return shares

    def _bent(self, values: Floats) -> Floats:
        if self.pivot is None:
            return values
        bent: Floats = np.arcsinh(3 * (values - self.pivot) / self.unit)
        return bent


def linear(values: Floats, unit: str, *, from_zero: bool = True, count: int = 3) -> Scale:
    """An axis with round ends around the finite *values* (from zero when none is negative and *from_zero*); 0-1 when there are none."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low = min(low, 0.0) if from_zero else low
    if high - low <= 1e-12 * max(abs(high), abs(low), 1e-12):
        high = max(high, low + (abs(low) if abs(low) > 1e-12 else FLAT.get(unit, 1.0)))
    from matplotlib.ticker import MaxNLocator

    edges = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return Scale(
        min(low, float(edges[0])), max(high, float(edges[-1])), tuple((float(value), label(float(value), unit)) for value in edges)
    )


def compressed(values: Floats, threshold: float | None) -> Scale:
    """
    The axis of a score: even between its median and its threshold, logarithmic above.

    So both a near miss and a score of a thousand thresholds can be seen. Without a threshold, or with one at the median, it is linear.
    """
    finite = values[np.isfinite(values)]
    middle = float(np.median(finite)) if finite.size else 0.0
    if threshold is None or not np.isfinite(threshold) or threshold - middle <= 1e-9 * max(1.0, abs(threshold)):
        return linear(values, "", from_zero=False)
    low = min(float(finite.min()), middle) if finite.size else middle
    high = max(float(finite.max()) if finite.size else threshold, threshold + 0.25 * (threshold - middle))
    ticks = [(threshold, label(threshold, ""))]
    if high > 2 * threshold - middle:
        ticks.append((high, label(high, "")))
    return Scale(low, high, tuple(ticks), pivot=middle, unit=threshold - middle)


def label(value: float, unit: str) -> str:
    """A tick's text: ``250 ms``, ``12 MB``, ``40 %``, ``1.2 k``."""
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    if unit not in PREFIXED and abs(value) < 1000:
        return f"{value:.3g}"
    from matplotlib.ticker import EngFormatter

    return EngFormatter(unit=PREFIXED.get(unit, ""))(_round(value)).strip()


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def time_ticks(start_s: float, end_s: float, origin_s: float, count: int = 5) -> tuple[tuple[float, str], ...]:
    """At most about *count* round moments between the ends and their text, counted from *origin_s*: ``1:30``, ``-0:10``, ``2 h``."""
    step = next((step for step in TIME_STEPS_S if (end_s - start_s) / step <= count), TIME_STEPS_S[-1])
    first, last = math.ceil((start_s - origin_s) / step), math.floor((end_s - origin_s) / step)
    return tuple((origin_s + at * step, _elapsed(at * step, step)) for at in range(first, last + 1))


def _elapsed(at: int, step: int) -> str:
    sign, at = ("\u2212" if at < 0 else ""), abs(at)
    if step >= 86400:
        return f"{sign}{at // 86400} d"
    if step >= 3600:
        return f"{sign}{at // 3600} h"
    minutes = f"{at // 60 % 60:02d}" if at >= 3600 else f"{at // 60}"
    return f"{sign}{at // 3600}:{minutes}:{at % 60:02d}" if at >= 3600 else f"{sign}{minutes}:{at % 60:02d}"


def outline(x: Floats, y: Floats, start: float, end: float, buckets: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """
    Which points draw the series between *start* and *end*, and before which the pen is lifted.

    Of each of *buckets* equal spans the lowest and the highest point stay, so that no peak is lost. The pen is lifted over NaN
    and over holes of more than three usual steps. Returns (indices into *x*, lift), both of one length.
    """
    inside = np.flatnonzero((x >= start) & (x <= end))
    steps = np.diff(x[inside])
    usual = float(np.median(steps)) if steps.size else 0.0
    finite = np.isfinite(y[inside])
    broken = np.concatenate(([True], (steps > 3 * usual) | ~finite[1:] | ~finite[:-1])) if inside.size else np.zeros(0, bool)
    run = np.cumsum(broken)[finite]
    points = inside[finite]
    if points.size > 2 * buckets:
        bucket = np.minimum(((x[points] - start) / (end - start) * buckets).astype(np.int64), buckets - 1)
        keep = np.union1d(_firsts(y[points], bucket, np.minimum), _firsts(y[points], bucket, np.maximum))
        points, run = points[keep], run[keep]
    return points, np.diff(run, prepend=0) > 0


def _firsts(y: Floats, bucket: NDArray[np.int64], extreme: np.ufunc) -> NDArray[np.intp]:
    """Where the *extreme* (minimum or maximum) of each bucket is met first; *bucket* does not fall."""
    edges = np.flatnonzero(np.diff(bucket, prepend=-1))
    lengths = np.diff(np.append(edges, y.size))
    met = np.flatnonzero(y == np.repeat(extreme.reduceat(y, edges), lengths))
    return met[np.flatnonzero(np.diff(bucket[met], prepend=-1))]
