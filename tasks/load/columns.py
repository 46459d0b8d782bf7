"""Columns of the load tables as numpy arrays, and quantiles of many small histograms at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from tasks.load.histogram import rank_of, value_of

MOST = 1 << 15
"""Buckets lie in [-MOST, MOST)."""


def numbers(column: pa.ChunkedArray, dtype: DTypeLike) -> NDArray[Any]:
    """The values of a column of numbers without nulls; pandas is not imported on the way."""
    parts = [_plain(chunk, dtype) for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _plain(array: pa.Array, dtype: DTypeLike) -> NDArray[Any]:
    return np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]


def running_sum(values: NDArray[Any], window: int) -> NDArray[np.float64]:
    """Sum of each value and the *window* - 1 before it (fewer at the start), shape ``(n,)``."""
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    ends = np.arange(1, len(values) + 1)
    return np.asarray(total[ends] - total[np.maximum(ends - window, 0)], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Cells:
    """Histograms of a grid of seconds and endpoints, laid end to end: entry i counts *count[i]* in *bucket[i]* of one cell."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    bucket: NDArray[np.int16]
    count: NDArray[np.int32]

    @classmethod
    def of(cls, row: NDArray[np.int64], column: NDArray[np.int64], buckets: pa.ChunkedArray, counts: pa.ChunkedArray) -> Self:
        """From two list columns; *row* and *column* (one a list) say which cell a list belongs to."""
        offsets = [numbers(pa.chunked_array([chunk.offsets]), np.int32) for chunk in buckets.chunks]
        lengths = np.concatenate([np.zeros(0, dtype=np.int64), *map(np.diff, offsets)]).astype(np.int64)
        return cls(np.repeat(row, lengths), np.repeat(column, lengths), _flat(buckets, np.int16), _flat(counts, np.int32))

    def quantiles(self, q: float, *, shape: tuple[int, ...], window: int = 1) -> NDArray[np.float64]:
        """
        The *q* quantile of each cell together with those of the *window* - 1 rows before it.

        Args:
            q: Between 0 and 1.
            shape: Rows and columns of the grid.
            window: Rows that are merged, at least 1.

        Returns:
            Seconds, of *shape*; NaN for a cell without counts.
        """
        if not 0 <= q <= 1 or window < 1:
            raise ValueError(f"a quantile lies between 0 and 1 and a window is at least 1, not {q} and {window}")
        result = np.full(shape, np.nan)
        for column in range(shape[1]):
            mine = self.column == column
            result[:, column] = _row_quantiles(q, self.row[mine], self.bucket[mine], self.count[mine], rows=shape[0], window=window)
        return result


def _flat(lists: pa.ChunkedArray, dtype: DTypeLike) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=dtype), *(numbers(pa.chunked_array([chunk.flatten()]), dtype) for chunk in lists.chunks)])


def _row_quantiles(
    q: float, row: NDArray[np.int64], bucket: NDArray[np.int16], count: NDArray[np.int32], *, rows: int, window: int
) -> NDArray[np.float64]:
    shifted = np.concatenate([row + step for step in range(window)])
    order = np.argsort(shifted * (2 * MOST) + np.tile(bucket, window).astype(np.int64), kind="stable")
    order = order[shifted[order] < rows]
    sorted_row, sorted_bucket = shifted[order], np.tile(bucket, window)[order]
    running = np.cumsum(np.tile(count, window)[order], dtype=np.int64)
    edges = np.searchsorted(sorted_row, np.arange(rows + 1))
    before = np.concatenate(([0], running))[edges]
    totals = np.diff(before)
    result = np.full(rows, np.nan)
    some = totals > 0
    places = np.searchsorted(running, before[:-1][some] + rank_of(q, totals[some]))
    result[some] = value_of(sorted_bucket[places])
    return result
