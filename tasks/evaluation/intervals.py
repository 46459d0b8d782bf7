"""Intervals of confidence, and the correction for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""At which two detectors are said to differ."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A two-sided interval, both ends included."""

    low: float
    high: float


def clopper_pearson(successes: float, tries: float, confidence: float = 0.95) -> Bounds | None:
    """
    Exact interval of a proportion (Clopper & Pearson, 1934); None without a try.

    Args:
        successes: At most *tries*. A mean over seeds that is no whole number takes the lower end of the whole number
            below it and the upper end of the one above.
        tries: Number of tries.
        confidence: Coverage that the interval never falls below.
    """
    if tries <= 0:
        return None
    from scipy import stats

    tail = (1 - confidence) / 2
    below, above = math.floor(successes), math.ceil(successes)
    low = 0.0 if below <= 0 else float(stats.beta.ppf(tail, below, tries - below + 1))
    high = 1.0 if above >= tries else float(stats.beta.ppf(1 - tail, above + 1, tries - above))
    return Bounds(low, high)


def poisson(count: float, confidence: float = 0.95) -> Bounds:
    """
    Exact interval of the mean of a Poisson *count* (Garwood, 1936).

    Half quantiles of chi-squared with ``2 count`` and ``2 count + 2`` degrees of freedom, which are also defined
    for a count that is no whole number.
    """
    from scipy import stats

    tail = (1 - confidence) / 2
    low = 0.0 if count <= 0 else float(stats.chi2.ppf(tail, 2 * count)) / 2
    return Bounds(low, float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2)


def bootstrap(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    statistic: Callable[[NDArray[np.float64]], float],
    rng: np.random.Generator,
    rounds: int = 2000,
    confidence: float = 0.95,
) -> Bounds | None:
    """
    Percentile bootstrap over trials, clustered (Efron, 1979; clusters: Davison & Hinkley, 1997).

    Clusters are drawn with replacement, each with all its trials. With a single cluster the trials themselves are
    drawn, since one cluster says nothing about others.

    Args:
        values: One value a trial.
        clusters: The recording of each trial.
        statistic: From the drawn values to the figure of interest.
        rng: Source of the draws.
        rounds: Number of draws.
        confidence: Nominal coverage.

    Returns:
        None with fewer than two trials.
    """
    data = np.asarray(values, dtype=float)
    if len(data) != len(clusters):
        raise ValueError(f"{len(data)} values but {len(clusters)} clusters")
    if len(data) < 2:
        return None
    groups: dict[Hashable, list[int]] = {}
    for position, key in enumerate(clusters):
        groups.setdefault(key if len(set(clusters)) > 1 else position, []).append(position)
    members = [np.array(rows) for rows in groups.values()]
    draws = rng.integers(len(members), size=(rounds, len(members)))
    figures = [statistic(data[np.concatenate([members[i] for i in draw])]) for draw in draws]
    tail = (1 - confidence) / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Bounds(float(low), float(high))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """
    *p_values* adjusted for their number, in the order given (Holm, 1979).

    The smallest is multiplied by their number, the next by one less, and so on; never falling, at most 1.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors)) if len(p) else []
    return tuple(float(value) for value in adjusted)
