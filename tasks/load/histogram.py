"""
A histogram of durations in buckets of equal ratio (:mod:`tasks.load.buckets`), small enough to keep for every second and endpoint.

Merging adds counts, so it does not matter in which order, or in how many processes, durations were counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tasks.load.buckets import GAMMA, LOG_GAMMA, LONGEST_S, RELATIVE_ERROR, SHORTEST_S, bucket_of

__all__ = ["LONGEST_S", "RELATIVE_ERROR", "SHORTEST_S", "Histogram", "bucket_of", "merged", "rank_of", "value_of"]


def value_of(bucket: NDArray[np.integer]) -> NDArray[np.float64]:
    """Durations in seconds, the representatives of *bucket*; same shape."""
    return np.asarray(2.0 * np.exp(bucket.astype(np.float64) * LOG_GAMMA) / (GAMMA + 1.0), dtype=np.float64)


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
