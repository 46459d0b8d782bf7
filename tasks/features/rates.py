"""Rates of counters that may be reset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.features.grid import Grid, place
from tasks.features.source import Block

ROUNDING = 0.99
"""A counter that falls by less than a hundredth was read imprecisely; one that restarted begins far below."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates a second ``(k, n)``, never negative, NaN where unknown; and the *resets* ``(k,)`` met on the way."""

    per_s: NDArray[np.float64]
    resets: NDArray[np.int64]


def increments(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """
    What was added at each sample of counters *values* ``(k, m)``, and the number of resets ``(k,)``.

    After a reset a counter has counted from zero, as Prometheus' ``rate`` assumes, so the new value itself was added.
    A fall of less than a hundredth is an imprecise reading: nothing was added.
    """
    added = np.zeros_like(values)
    np.subtract(values[:, 1:], values[:, :-1], out=added[:, 1:])
    fell = added < 0
    if not fell.any():
        return added, np.zeros(values.shape[0], dtype=np.int64)
    previous = np.empty_like(values)
    previous[:, 0] = values[:, 0]
    previous[:, 1:] = values[:, :-1]
    reset = fell & (values < ROUNDING * previous)
    added = np.where(reset, np.maximum(values, 0.0), np.where(fell, 0.0, added))
    return added, reset.sum(axis=1)


def rates(block: Block, grid: Grid, window_s: float, interval_s: float) -> Rates:
    """
    Rate of each counter of *block* over the last *window_s* before each row's end.

    The rate is what was added between the first and the last sample in the window, over the time between these two; it
    is not stretched to the window's edges. NaN with fewer than two samples in the window, or when the row has no
    sample of its own, the service being scraped every *interval_s*.
    """
    added, resets = increments(block.values)
    total = np.cumsum(added, axis=1)
    fresh = place(block.time_s, grid, interval_s).fresh
    last = np.searchsorted(block.time_s, grid.time_s, side="right") - 1
    first = np.searchsorted(block.time_s, grid.time_s - window_s, side="right")
    known = fresh & (last > first)
    per_s = np.full((len(block.ids), grid.time_s.size), np.nan)
    if known.any():
        a, b = first[known], last[known]
        per_s[:, known] = (total[:, b] - total[:, a]) / (block.time_s[b] - block.time_s[a])
    return Rates(np.maximum(per_s, 0.0, out=per_s), resets)


def born_at_zero(block: Block, scraped_s: NDArray[np.float64]) -> Block:
    """
    *block* with zeros put before its first sample, at the moments at which its service had been scraped without it.

    A counter with a new label set (the first 500, say) is exposed only after its first event; until then it stood at
    zero. Without this the first event, often the only one, is in no rate.

    Args:
        block: Counters of one service.
        scraped_s: All moments ``(q,)`` at which that service was scraped, ascending.
    """
    earlier = int(np.searchsorted(scraped_s, block.time_s[0], side="left"))
    if earlier == 0:
        return block
    return Block(
        ids=block.ids,
        owner=block.owner,
        time_s=np.concatenate([scraped_s[:earlier], block.time_s]),
        values=np.concatenate([np.zeros((len(block.ids), earlier)), block.values], axis=1),
    )
