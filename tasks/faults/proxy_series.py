"""The proxy's counters as a witness: how much one counter grew for each step of another, on a regular grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def growth(time_s: Floats, value: Floats, grid_s: Floats, window_s: float) -> Floats:
    """
    By how much a counter grew in the *window_s* seconds before each grid row; a fall is a restart from zero.

    Args:
        time_s: Times of the samples, ascending, shape ``(n,)``.
        value: The counter, shape ``(n,)``, no NaN.
        grid_s: Rows, ascending, shape ``(m,)``.
        window_s: Length of the window.

    Returns:
        Shape ``(m,)``; NaN where no sample lies inside the window, or none at or before its start.
    """
    if len(time_s) == 0:
        return np.full(len(grid_s), np.nan)
    steps = np.diff(value, prepend=value[:1])
    total = np.cumsum(np.where(steps < 0, value, steps))
    last = np.searchsorted(time_s, grid_s, side="right") - 1
    first = np.searchsorted(time_s, grid_s - window_s, side="right") - 1
    known = (first >= 0) & (last > first)
    return np.where(known, total[last] - total[first], np.nan)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """*numerator* / *denominator*, both growths of shape ``(m,)``; NaN where nothing happened."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(denominator > 0, numerator / denominator, np.nan), dtype=np.float64)
