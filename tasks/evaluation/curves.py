"""The area under the precision-recall curve, and the sorting that curves share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """
    Area under the precision-recall curve as a sum of steps: sum over thresholds of (R_k - R_{k-1}) P_k.

    The average precision of Manning, Raghavan & Schuetze (2008, section 8.4), ties taken together. A row without a score
    (NaN) is ranked below all others, since it can raise no alarm.

    Returns:
        None when no row, or every row, is a positive.
    """
    truth, values = checked(labels, scores)
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        return None
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(truth[order])
    ends = group_ends(values[order])
    recall = hits[ends] / positives
    precision = hits[ends] / (ends + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """
    Both as arrays, a missing score as minus infinity.

    Raises:
        ValueError: Shapes differ, or are not ``(n_rows,)``.
    """
    truth = np.asarray(labels, dtype=bool)
    values = np.asarray(scores, dtype=float)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"labels have shape {truth.shape} and scores {values.shape}; both must be (n_rows,)")
    return truth, np.where(np.isnan(values), -np.inf, values)


def group_ends(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    """The last position of each run of equal values."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
