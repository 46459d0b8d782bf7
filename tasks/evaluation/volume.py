"""VUS-PR: the volume under range-based precision and recall over all buffers around the faults, exact or sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.evaluation.curves import checked

SAMPLED_THRESHOLDS = 250
"""As many as the tables published with TSB-AD use."""
_CELLS = 100_000
"""Rows x windows that are worked on at a time: they stay in the processor's cache, which is three times as fast as all at once."""


def vus_pr(labels: ArrayLike, scores: ArrayLike, buffer: int, *, thresholds: int | None = None) -> float | None:
    """
    Volume under the surface of range-based precision and recall (Paparrizos et al., PVLDB 2022), 'opt' definition of TSB-AD.

    For each window w = 0 ... *buffer*, a row outside the labels at distance d <= w // 2 from the edge of a label run has the
    weight sqrt(1 - d / w), weights of several runs added and cut at 1; label rows have 1. With predictions
    ``score >= threshold`` the true positives TP are the predicted weight, precision is TP over predicted rows,
    recall is TP over the mean of the label rows and (label rows + predicted buffer weight), at most 1, times the share of
    extended runs (those that touch are one) with a prediction. The area is the sum of recall steps times precision; the volume
    is the mean area over windows.

    Args:
        labels: True where anomalous, shape ``(n_rows,)``.
        scores: The higher, the more anomalous, shape ``(n_rows,)``; NaN is ranked below all others.
        buffer: The widest window, in rows.
        thresholds: None takes every distinct score; a number samples as many scores, evenly in rank, as
            published tables do with 250.

    Returns:
        None when no row, or every row, is a positive.
    """
    truth, values = checked(labels, scores)
    if buffer < 0:
        raise ValueError(f"buffer must be at least 0 rows, not {buffer}")
    if int(truth.sum()) in (0, len(truth)):
        return None
    runs = _runs(truth)
    near = _buffer_rows(truth, values, runs, buffer // 2)
    levels = _levels(truth, values, near, thresholds)
    reach = _reach(values, runs, buffer // 2)
    existence = np.array([_existence(runs, reach, levels.cuts, half) for half in range(buffer // 2 + 1)])
    at_once = max(1, _CELLS // (len(levels.cuts) + len(near.rows) + 1))
    windows = np.arange(buffer + 1)
    parts = [_areas(levels, near, existence, windows[i : i + at_once]) for i in range(0, len(windows), at_once)]
    return float(np.concatenate(parts).mean())


@dataclass(frozen=True, slots=True)
class _Runs:
    """Label runs, both ends included."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    n_rows: int


@dataclass(frozen=True, slots=True)
class _Near:
    """Rows outside the labels within the widest half window, by falling score."""

    rows: NDArray[np.int64]
    nearest: NDArray[np.int64]
    """Distance to the nearest edge of a run."""
    second: NDArray[np.int64]
    """Distance to the second nearest edge of another run, or beyond reach."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """Thresholds from the highest to the lowest, and what lies at or above each."""

    cuts: NDArray[np.float64]
    predicted: NDArray[np.float64]
    """Rows predicted."""
    inside: NDArray[np.float64]
    """Label rows predicted."""
    buffered: NDArray[np.int64]
    """Buffer rows predicted: the first so many of _Near."""
    positives: int


def _runs(truth: NDArray[np.bool_]) -> _Runs:
    edges = np.diff(truth.astype(np.int8), prepend=0, append=0)
    return _Runs(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, len(truth))


def _buffer_rows(truth: NDArray[np.bool_], values: NDArray[np.float64], runs: _Runs, half: int) -> _Near:
    """
    The rows that some window gives a weight.

    Two runs in reach already give the weight 1, as sqrt(1 - d / w) >= sqrt(1/2) for d <= w // 2; so the two nearest decide.
    """
    steps = np.arange(1, half + 1)
    rows = np.concatenate([(runs.starts[:, None] - steps).ravel(), (runs.ends[:, None] + steps).ravel()])
    distances = np.tile(steps, 2 * len(runs.starts))
    kept = (rows >= 0) & (rows < runs.n_rows)
    rows, distances = rows[kept], distances[kept]
    outside = ~truth[rows]
    rows, distances = rows[outside], distances[outside]
    order = np.lexsort((distances, rows))
    rows, distances = rows[order], distances[order]
    first = np.flatnonzero(np.append(True, rows[1:] != rows[:-1])) if len(rows) else np.empty(0, dtype=np.int64)
    following = np.minimum(first + 1, max(0, len(rows) - 1))
    again = (first + 1 < len(rows)) & (rows[following] == rows[first])
    second = np.where(again, distances[following], half + 1)
    falling = np.argsort(-values[rows[first]], kind="stable")
    return _Near(rows[first][falling], distances[first][falling], second[falling])


def _levels(truth: NDArray[np.bool_], values: NDArray[np.float64], near: _Near, thresholds: int | None) -> _Levels:
    """
    Cut the sorted scores at each threshold.

    Recall only moves where a row with a weight is added, and a step without a move adds no area: so the exact sum needs no
    threshold but the scores of label and buffer rows.
    """
    rising = np.sort(values)
    inside = np.sort(values[truth])
    buffered = np.sort(values[near.rows])
    if thresholds is None:
        cuts = np.unique(np.concatenate([inside, buffered]))[::-1]
    else:
        picked = np.linspace(0, len(values) - 1, thresholds).astype(np.int64)
        cuts = rising[::-1][picked]

    def at_least(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
        return len(ordered) - np.searchsorted(ordered, cuts, side="left")

    return _Levels(cuts, at_least(rising).astype(float), at_least(inside).astype(float), at_least(buffered), len(inside))


def _reach(values: NDArray[np.float64], runs: _Runs, half: int) -> NDArray[np.float64]:
    """The largest score within each half window 0 ... *half* of each run, shape ``(n_runs, half + 1)``, as running maxima."""
    padded = np.append(values, -np.inf)
    inner = np.maximum.reduceat(padded, np.column_stack([runs.starts, runs.ends + 1]).ravel())[::2]
    steps = np.arange(1, half + 1)
    left = np.maximum(runs.starts[:, None] - steps, -1)
    right = np.minimum(runs.ends[:, None] + steps, runs.n_rows)
    return np.maximum.accumulate(np.column_stack([inner, np.maximum(padded[left], padded[right])]), axis=1)


def _existence(runs: _Runs, reach: NDArray[np.float64], cuts: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """At each threshold the share of extended runs with a prediction, runs that touch within *half* taken as one."""
    apart = runs.ends[:-1] + half < runs.starts[1:] - half
    largest = np.sort(np.maximum.reduceat(reach[:, half], np.flatnonzero(np.append(True, apart))))
    return (len(largest) - np.searchsorted(largest, cuts, side="left")) / len(largest)


def _weights(near: _Near, windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each buffer row in each window, shape ``(n_windows, n_near)``."""
    half = windows[:, None] // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        single = np.sqrt(1 - near.nearest / windows[:, None])
    return np.where(near.second <= half, 1.0, np.where(near.nearest <= half, single, 0.0))


def _areas(levels: _Levels, near: _Near, existence: NDArray[np.float64], windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """
    The area of each window; *existence* is ``(n_half_windows, n_thresholds)``.

    Every array has a row a window: all steps then walk memory in order.
    """
    summed = np.zeros((len(windows), len(near.rows) + 1))
    np.cumsum(_weights(near, windows), axis=1, out=summed[:, 1:])
    buffered = summed[:, levels.buffered]
    hits = levels.inside + buffered
    recall = np.minimum(hits / (levels.positives + buffered / 2), 1.0) * existence[windows // 2]
    recall[:, 1:] -= recall[:, :-1].copy()  # steps from here on
    areas: NDArray[np.float64] = np.sum(recall * (hits / levels.predicted), axis=1)
    return areas
