"""Growth of counters that may be reset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.features.grid import Grid, place
from tasks.features.source import Block, Key

ROUNDING = 0.99
"""A counter that falls by less than a hundredth was read imprecisely; one that restarted begins far below."""


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


@dataclass(frozen=True, slots=True)
class Windows:
    """The *rows* that have a rate, the *first* and *last* sample in the window of each, and *span_s* between these; all ``(r,)``."""

    rows: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    span_s: NDArray[np.float64]

    @classmethod
    def of(cls, time_s: NDArray[np.float64], grid: Grid, window_s: float, interval_s: float) -> Windows:
        """
        The windows of *window_s* over samples at *time_s* ``(m,)``.

        A row has no rate with fewer than two samples in its window, or when it has no sample of its own, its target being
        scraped every *interval_s*.
        """
        fresh = place(time_s, grid, interval_s).fresh
        last = np.searchsorted(time_s, grid.time_s, side="right") - 1
        first = np.searchsorted(time_s, grid.time_s - window_s, side="right")
        rows = np.flatnonzero(fresh & (last > first))
        first, last = first[rows], last[rows]
        return cls(rows, first, last, time_s[last] - time_s[first])

    def rate(self, added: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        What was *added* ``(m,)`` a second, at each of the rows: ``(r,)``, never negative.

        It is what was added between the first and the last sample in the window, over the time between these two; it is
        not stretched to the window's edges.
        """
        total = np.cumsum(added)
        return np.maximum((total[self.last] - total[self.first]) / self.span_s, 0.0)


def born_at_zero(block: Block[Key], scraped_s: NDArray[np.float64]) -> Block[Key]:
    """
    *block* with zeros put before its first sample, at the moments at which its target had been scraped without it.

    A counter with a new label set (the first 500, say) is exposed only after its first event; until then it stood at
    zero. Without this the first event, often the only one, is in no rate. What a whole target had counted before it was
    first scraped stays out: nobody knows since when.

    Args:
        block: Counters of one target.
        scraped_s: All moments ``(q,)`` at which that target was scraped, ascending.
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
