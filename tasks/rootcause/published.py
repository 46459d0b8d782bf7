"""Published root-cause scorers as they were published, to reproduce their tables; a run's own methods stand in ``ranking``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.rootcause.deviations import IQR_PER_SD, MEDIAN_FLOOR

PublishedMethod = Literal["baro", "n_sigma", "robust"]
MAX_ROWS = 300
"""At most so many rows before and after the onset are used."""


def scores(method: PublishedMethod, normal: NDArray[np.float64], faulty: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The largest *signed* deviation of each column, shape ``(n_columns,)``: a fall is never suspect.

    ``baro``: median and interquartile range (RobustScorer of BARO, Pham et al., FSE 2024). ``n_sigma``: mean and standard
    deviation (Pham et al., ASE 2024). A scale of 0 is taken as 1. ``robust``: median, and the larger of interquartile range /
    1.349 and 1 % of the median's size.

    Args:
        method: Which one.
        normal: Rows before the onset, shape ``(n, n_columns)``, no NaN.
        faulty: Rows from the onset on, shape ``(m, n_columns)``, no NaN.
    """
    low, median, high = np.percentile(normal, [25, 50, 75], axis=0)
    if method == "n_sigma":
        centre, scale = normal.mean(axis=0), normal.std(axis=0)
    elif method == "baro":
        centre, scale = median, high - low
    else:
        centre, scale = median, np.maximum((high - low) / IQR_PER_SD, MEDIAN_FLOOR * np.abs(median))
    deviations: NDArray[np.float64] = ((faulty - centre) / np.where(scale == 0, 1.0, scale)).max(axis=0)
    return deviations


def late(normal: NDArray[np.float64], faulty: NDArray[np.float64], rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    The windows of an onset *rows* too late: the first fault rows join the normal ones; negative: too early.

    Cut to the last, or first, 300 rows only afterwards.
    """
    if rows >= 0:
        normal, faulty = np.vstack([normal, faulty[:rows]]), faulty[rows:]
    else:
        normal, faulty = normal[:rows], np.vstack([normal[rows:], faulty])
    return normal[-MAX_ROWS:], faulty[:MAX_ROWS]


def varying(normal: NDArray[np.float64], faulty: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Columns with more than one distinct value in both windows (a standard deviation above 0 may be rounding noise)."""
    varies: NDArray[np.bool_] = (np.ptp(normal, axis=0) > 0) & (np.ptp(faulty, axis=0) > 0)
    return varies


def services_in_order(services: Sequence[str], column_scores: NDArray[np.float64]) -> tuple[str, ...]:
    """The services by their best column, the highest first; among equals the first column wins."""
    order = np.argsort(-column_scores, kind="stable")
    return tuple(dict.fromkeys(services[i] for i in order))
