"""
A threshold from a budget of false alarms, learnt on fault-free scores.

Scores inside one rate window move together, so the fault-free recording is first cut into blocks of one rate window plus
the persistence, and only the largest score of each block is kept: these are taken as independent. The budget of alarms a day
becomes the probability that a block may exceed, and the threshold is the value that block maxima exceed with at most this
probability.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.base.errors import IncompleteError

DAY_S = 86_400.0
TAIL_FROM = 0.10
"""The generalised Pareto tail stands for the highest tenth of block maxima only."""
MIN_EXCEEDANCES = 30
MAX_SHAPE = 0.5
RULE_OF_THREE = 3.0
"""No event in T leaves rates up to 3/T possible, at 95 % (Hanley & Lippman-Hand, 1983)."""

Method = Literal["largest", "empirical", "generalised-pareto"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a row begins to exceed: its score must be strictly above *value*."""

    value: float
    budget_supported: bool
    """False: the calibration is too short for the budget, and *value* is its largest score."""
    bound_per_day: float | None
    """The lowest rate of false alarms a day that fault-free data of this length can bound (3/T); None: not calibrated."""
    n_blocks: int
    """Independent blocks of the calibration that have a score."""
    method: Method
    p_block: float
    """Probability, granted by the budget, that a fault-free block exceeds."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def calibrate(scores: ArrayLike, *, budget_per_day: float, rate_window_s: float, persistence_s: float, step_s: float) -> Threshold:
    """
    The threshold that fault-free *scores* allow.

    With n block maxima, a new block exceeds the k-th largest of them with probability k/(n + 1). So the empirical
    threshold is the k-th largest with ``k = floor(p_block (n + 1))``; without such a k it is the largest score, and
    the budget is not supported. In the highest tenth the k-th largest is replaced by the quantile of a generalised Pareto
    distribution (Pickands, 1975; peaks over threshold: Davison & Smith, 1990) when at least 30 maxima lie there.

    Args:
        scores: Fault-free scores in order of time on a grid, shape ``(n_rows,)``; NaN: no score. The higher, the
            more anomalous.
        budget_per_day: False alarms a day that are allowed.
        rate_window_s: Longest rate window of the features.
        persistence_s: Seconds that the persistence rule looks back.
        step_s: Seconds between rows.

    Raises:
        IncompleteError: No row has a score.
    """
    values = np.asarray(scores, dtype=float)
    block_s = rate_window_s + persistence_s
    maxima = block_maxima(values, rows=max(1, round(block_s / step_s)))
    scored = int(np.isfinite(values).sum())
    if scored == 0:
        raise IncompleteError(
            "the calibration recording has no row with a score, so no threshold can be set",
            next_step="look at its gaps with `tidegauge runs show latest`, then record it again",
        )
    p_block = budget_per_day * block_s / DAY_S
    bound = RULE_OF_THREE * DAY_S / (scored * step_s)
    n = len(maxima)
    rank = math.floor(p_block * (n + 1) * (1 + 1e-12))
    if rank < 1 or n == 0:
        return Threshold(float(np.nanmax(values)), False, bound, n, "largest", p_block)
    tail = _tail_quantile(maxima, p_block) if p_block < TAIL_FROM else None
    if tail is not None:
        return Threshold(tail, True, bound, n, "generalised-pareto", p_block)
    ordered = np.sort(maxima)[::-1]
    return Threshold(float(ordered[min(rank, n) - 1]), True, bound, n, "empirical", p_block)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How thresholds are set in a run, the same for every detector, chance included."""

    budget_per_day: float
    rate_window_s: float
    persistence_s: float
    step_s: float

    def threshold(self, scores: ArrayLike) -> Threshold:
        """The threshold that fault-free *scores* allow; see :func:`calibrate`."""
        return calibrate(
            scores,
            budget_per_day=self.budget_per_day,
            rate_window_s=self.rate_window_s,
            persistence_s=self.persistence_s,
            step_s=self.step_s,
        )


def block_maxima(scores: NDArray[np.float64], *, rows: int) -> NDArray[np.float64]:
    """The largest score of each whole block of *rows* rows; a remainder and blocks without any score give none."""
    whole = scores[: len(scores) // rows * rows].reshape(-1, rows)
    scored = whole[np.isfinite(whole).any(axis=1)]
    return np.nanmax(scored, axis=1) if len(scored) else np.empty(0)


def _tail_quantile(maxima: NDArray[np.float64], p: float) -> float | None:
    """The value that a block exceeds with probability *p*, from a fitted tail; None when there is too little to fit."""
    start = float(np.quantile(maxima, 1 - TAIL_FROM))
    excess = maxima[maxima > start] - start
    if len(excess) < MIN_EXCEEDANCES:
        return None
    shape, scale = fit_tail(excess)
    above = p / (len(excess) / len(maxima))
    if above >= 1:
        return None
    grown = -math.log(above) if shape < 1e-9 else (above**-shape - 1) / shape
    return start + scale * grown


def fit_tail(excess: NDArray[np.float64]) -> tuple[float, float]:
    """
    Shape in [0, .5] and scale of a generalised Pareto distribution of positive *excess*, by maximum likelihood.

    The likelihood is profiled: the best scale for each shape, then the best shape. Scores are not bounded above, hence no
    negative shape; above .5 the variance is infinite and a fit of some dozens of points means nothing.
    """
    from scipy import optimize

    unit = float(excess.mean())
    scaled = excess / unit

    def scale_for(shape: float) -> float:
        def negative(log_scale: float) -> float:
            return _negative_log_likelihood(scaled, shape, math.exp(log_scale))

        return math.exp(float(optimize.minimize_scalar(negative, bounds=(-12.0, 6.0), method="bounded", options={"xatol": 1e-10}).x))

    def profile(shape: float) -> float:
        return _negative_log_likelihood(scaled, shape, scale_for(shape))

    inner = float(optimize.minimize_scalar(profile, bounds=(0.0, MAX_SHAPE), method="bounded", options={"xatol": 1e-8}).x)
    best = min((0.0, inner, MAX_SHAPE), key=profile)
    return best, scale_for(best) * unit


def _negative_log_likelihood(excess: NDArray[np.float64], shape: float, scale: float) -> float:
    """Of the generalised Pareto distribution; the exponential one at shape 0."""
    if shape < 1e-9:
        return float(len(excess) * math.log(scale) + excess.sum() / scale)
    return float(len(excess) * math.log(scale) + (1 + 1 / shape) * np.log1p(shape * excess / scale).sum())
