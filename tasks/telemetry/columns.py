"""Between numpy and Arrow without pandas, and the two tables of the recording format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.base.files import canonical_json
from tasks.base.parquet import read_table, write_table
from tasks.telemetry.series import ROLES, Role, Series

SAMPLES = pa.schema([("series", pa.int32()), ("time_ms", pa.int64()), ("value", pa.float64())])
SERIES = pa.schema(
    [("series", pa.int32()), ("name", pa.string()), ("service", pa.string()), ("role", pa.string()), ("labels", pa.string())]
)
ENCODING = {"series": "DELTA_BINARY_PACKED", "time_ms": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}


def to_arrow(values: NDArray[Any]) -> pa.Array:
    """*values* as an Arrow array that shares their memory; ``pa.array`` would import pandas."""
    values = np.ascontiguousarray(values)
    kinds = {"i4": pa.int32(), "i8": pa.int64(), "f8": pa.float64()}
    return pa.Array.from_buffers(kinds[values.dtype.str[1:]], len(values), [None, pa.py_buffer(values)])


def _text_to_arrow(texts: Sequence[str]) -> pa.Array:
    raw = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, raw)], dtype=np.int64).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(raw), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))])


def to_numpy(column: pa.ChunkedArray, dtype: type[np.generic]) -> NDArray[Any]:
    """
    A column without nulls as numpy; ``to_numpy()`` would import pandas.

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


def write_samples(path: Path, series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
    """
    Write one chunk, atomically.

    Raises:
        StorageError: No space is left; nothing is visible at *path*.
    """
    table = pa.Table.from_arrays([to_arrow(series), to_arrow(time_ms), to_arrow(value)], schema=SAMPLES)
    write_table(path, table, column_encoding=ENCODING)


def read_columns(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """
    Series, time in ms and value of one chunk, page checksums verified.

    Raises:
        StorageError: It is not a chunk, not whole, or not in order of series and time.
    """
    table = _checked(path, SAMPLES)
    try:
        series, time_ms, value = (
            to_numpy(table.column(name), kind) for name, kind in (("series", np.int32), ("time_ms", np.int64), ("value", np.float64))
        )
    except ValueError as error:
        raise StorageError(f"{path} is not a chunk of samples: {error}") from error
    step = np.diff(series)
    if len(series) and (series[0] < 0 or bool(np.any(step < 0)) or bool(np.any((step == 0) & (np.diff(time_ms) <= 0)))):
        raise StorageError(f"{path} is not in order of series and time")
    return series, time_ms, value


def write_series(path: Path, series: Sequence[Series]) -> None:
    """
    Write the table of *series*, atomically.

    Raises:
        StorageError: No space is left; nothing is visible at *path*.
    """
    texts: tuple[list[str], ...] = (
        [one.name for one in series],
        [one.service for one in series],
        [str(one.role) for one in series],
        [canonical_json(dict(one.labels)) for one in series],
    )
    numbers = np.array([one.id for one in series], dtype=np.int32)
    table = pa.Table.from_arrays([to_arrow(numbers), *map(_text_to_arrow, texts)], schema=SERIES)
    write_table(path, table)


def read_series_file(path: Path) -> tuple[Series, ...]:
    """
    The series in one file.

    Raises:
        StorageError: It is not a table of series, or not whole.
    """
    rows = _checked(path, SERIES).to_pylist()
    try:
        return tuple(_series(row, json.loads(row["labels"])) for row in rows)
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path} is not a table of series: {error}") from error


def _series(row: dict[str, Any], labels: Any) -> Series:
    if row["role"] not in ROLES or not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError(f"series {row['series']}: role {row['role']!r}, labels {row['labels']!r}")
    if any(row[name] is None for name in SERIES.names):
        raise ValueError("a column has nulls")
    return Series(row["series"], row["name"], row["service"], cast("Role", row["role"]), labels)


def _checked(path: Path, schema: pa.Schema) -> pa.Table:
    table = read_table(path)
    if not table.schema.equals(schema):
        raise StorageError(f"{path} has other columns than its kind of file should have")
    return table
