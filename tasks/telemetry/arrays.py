"""Between numpy and Arrow without pandas, which ``pa.array`` and ``to_numpy`` would import."""

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
