"""Measures over ranges of rows: range-based precision and recall, and the point-adjusted F1 that flatters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class RangeScores:
    """Of predicted against real ranges; None: there is no range to take it over."""

    precision: float | None
    recall: float | None
    f1: float | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def range_scores(labels: ArrayLike, predicted: ArrayLike, *, existence_weight: float = 0.0) -> RangeScores:
    """
    Range-based precision and recall (Tatbul et al., NeurIPS 2018), flat bias, reciprocal cardinality.

    The recall of a real range is ``a E + (1 - a) O / x``: E is 1 when any of its rows is predicted, O the share of its rows
    that are, x the number of predicted ranges that meet it (at least 1), a the *existence_weight*. Precision is the same with
    the roles changed and a = 0. Both are means over ranges.

    Args:
        labels: True where anomalous, shape ``(n_rows,)``.
        predicted: True where an alarm is open, shape ``(n_rows,)``.
        existence_weight: Between 0 and 1.
    """
    real, guessed = np.asarray(labels, dtype=bool), np.asarray(predicted, dtype=bool)
    if real.shape != guessed.shape:
        raise ValueError(f"labels have shape {real.shape} and predictions {guessed.shape}")
    recall = _mean_reward(real, guessed, existence_weight)
    precision = _mean_reward(guessed, real, 0.0)
    return RangeScores(precision, recall, harmonic(precision, recall))


def harmonic(precision: float | None, recall: float | None) -> float | None:
    """F1: the harmonic mean; 0 when both are 0, None when one is undefined."""
    if precision is None or recall is None:
        return None
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def point_adjusted_f1(labels: ArrayLike, predicted: ArrayLike) -> float | None:
    """
    F1 over rows after each real range with one predicted row is taken as wholly predicted (Xu et al., WWW 2018).

    Only for comparison with papers that print it: random scores reach high values (Kim et al., AAAI 2022).

    Returns:
        None when no row is a positive, or none is predicted.
    """
    real, guessed = np.asarray(labels, dtype=bool), np.asarray(predicted, dtype=bool)
    if not real.any() or not guessed.any():
        return None
    adjusted = guessed.copy()
    for start, end in ranges(real):
        adjusted[start:end] = guessed[start:end].any()
    hits = int((adjusted & real).sum())
    return harmonic(hits / int(adjusted.sum()), hits / int(real.sum()))


def ranges(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Runs of set rows as (start, end), the end not included, shape ``(n_runs, 2)``."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2)


def _mean_reward(taken: NDArray[np.bool_], against: NDArray[np.bool_], existence_weight: float) -> float | None:
    """The mean over ranges of *taken* of what *against* covers of them."""
    spans = ranges(taken)
    if not len(spans):
        return None
    starts, ends = spans.T
    others = ranges(against)
    covered = np.concatenate([[0], np.cumsum(against)])
    overlap = (covered[ends] - covered[starts]) / (ends - starts)
    meeting = np.searchsorted(others[:, 0], ends, side="left") - np.searchsorted(others[:, 1], starts, side="right")
    rewards = existence_weight * (overlap > 0) + (1 - existence_weight) * overlap / np.maximum(1, meeting)
    return float(rewards.mean())
