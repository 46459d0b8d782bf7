"""
Arrays without what takes long to import.

Between numpy and Arrow without pandas, which ``pa.array`` and ``to_numpy`` would load, and functions of numpy without ``numpy.ma``,
which ``np.unique`` and ``np.median`` load (as long as for 2 million samples).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_KINDS = {"i1": pa.int8(), "i4": pa.int32(), "i8": pa.int64(), "f8": pa.float64()}


def to_arrow(values: NDArray[Any], *, valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """*values* as an Arrow array that shares their memory; null where *valid* is false."""
    values = np.ascontiguousarray(values)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(_KINDS[values.dtype.str[1:]], len(values), [bits, pa.py_buffer(values)])


def text_to_arrow(texts: Sequence[str]) -> pa.Array:
    """*texts* as an Arrow array."""
    raw = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, raw)], dtype=np.int64).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(raw), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))])


def to_numpy(column: pa.ChunkedArray, dtype: type[np.generic]) -> NDArray[Any]:
    """
    A column without nulls as numpy.

    Raises:
        ValueError: It has nulls.
    """
    if column.null_count:
        raise ValueError("a column has nulls")
    pieces = [
        np.frombuffer(piece.buffers()[1], dtype=dtype, count=len(piece), offset=piece.offset * np.dtype(dtype).itemsize)
        for piece in column.chunks
        if len(piece)
    ]
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, dtype), *pieces])


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each of *numbers* once, ascending, as by ``np.unique``."""
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def among(numbers: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of *numbers* are among *known*, which ascend, as by ``np.isin``."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.asarray(known[place] == numbers)


def median(values: NDArray[Any]) -> float:
    """The middle one of *values*, or the mean of the two, as by ``np.median``; there must be one, and none is NaN."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    return float(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)
