"""
A histogram of durations in buckets of equal ratio, small enough to keep for every second and endpoint.

A duration x goes to bucket ``ceil(log(x) / log(GAMMA))`` and is read back as ``2 GAMMA^i / (GAMMA + 1)``, with
``GAMMA = (1 + a) / (1 - a)``: the relative error is at most ``a`` (DDSketch: Masson, Rim and Lee, VLDB 2019). Merging adds
counts, so it does not matter in which order, or in how many processes, durations were counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

RELATIVE_ERROR = 0.02
"""A quantile is at most this far, relatively, from the exact one."""
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(GAMMA)
SHORTEST_S = 1e-6
"""Shorter durations (and negative ones) count as this."""
LONGEST_S = 1e6
"""Longer durations count as this."""


def bucket_of(duration_s: float) -> int:
    """The bucket (fits int16) of one duration in seconds; NaN counts as the longest."""
    bounded = SHORTEST_S if duration_s < SHORTEST_S else duration_s if duration_s < LONGEST_S else LONGEST_S
    return math.ceil(math.log(bounded) / _LOG_GAMMA)


def value_of(bucket: NDArray[np.integer]) -> NDArray[np.float64]:
    """Durations in seconds, the representatives of *bucket*; same shape."""
    return np.asarray(2.0 * np.exp(bucket.astype(np.float64) * _LOG_GAMMA) / (GAMMA + 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """
    Counts by bucket.

    *buckets* int16, strictly rising; *counts* int32, all above 0; both of shape ``(n,)``. Empty means that nothing was counted.
    """

    buckets: NDArray[np.int16]
    counts: NDArray[np.int32]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.buckets, other.buckets) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of(cls, durations_s: Iterable[float]) -> Self:
        """Count *durations_s* (seconds)."""
        found, counts = np.unique(np.array([bucket_of(x) for x in durations_s], dtype=np.int16), return_counts=True)
        return cls(found, counts.astype(np.int32))

    @classmethod
    def from_counts(cls, counts: Mapping[int, int]) -> Self:
        """From counts by bucket; buckets with a count of 0 are left out."""
        kept = sorted(bucket for bucket, count in counts.items() if count)
        return cls(np.array(kept, dtype=np.int16), np.array([counts[bucket] for bucket in kept], dtype=np.int32))

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return int(self.counts.sum())

    def quantile(self, q: float) -> float | None:
        """
        The smallest duration (seconds) that at least the share *q* of all does not exceed; None when empty.

        Raises:
            ValueError: *q* is not between 0 and 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, not {q}")
        if not self.counts.size:
            return None
        running = np.cumsum(self.counts, dtype=np.int64)
        place = int(np.searchsorted(running, rank_of(q, running[-1:])[0]))
        return float(value_of(self.buckets[place : place + 1])[0])


def rank_of(q: float, totals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank (from 1) of the *q* quantile among each of *totals* values: the inverse of the empirical distribution."""
    return np.asarray(np.maximum(np.ceil(q * totals - 1e-9), 1), dtype=np.int64)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All counts together; the order does not matter."""
    parts = list(histograms)
    if not parts:
        return Histogram.from_counts({})
    buckets, places = np.unique(np.concatenate([part.buckets for part in parts]), return_inverse=True)
    counts = np.zeros(len(buckets), dtype=np.int32)
    np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
    return Histogram(buckets, counts)
