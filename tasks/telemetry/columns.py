"""The two tables of the recording format, samples and series, as files; samples in either of their two layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.base.files import canonical_json
from tasks.base.parquet import read_table, write_table
from tasks.telemetry.arrays import text_to_arrow, to_arrow, to_numpy
from tasks.telemetry.packed import PACKED, Columns, unpacked
from tasks.telemetry.series import ROLES, Role, Series

SAMPLES = pa.schema([("series", pa.int32()), ("time_ms", pa.int64()), ("value", pa.float64())])
SERIES = pa.schema(
    [("series", pa.int32()), ("name", pa.string()), ("service", pa.string()), ("role", pa.string()), ("labels", pa.string())]
)
ENCODING = {"series": "DELTA_BINARY_PACKED", "time_ms": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}


DUPLICATES, LATE = "chunk_duplicates", "chunk_late"
"""What a chunk's metadata say of it: how many samples were left out of it, and how many in it came late; its rows do not show that."""


def write_samples(
    path: Path,
    series: NDArray[np.int32],
    time_ms: NDArray[np.int64],
    value: NDArray[np.float64],
    facts: Mapping[str, str] | None = None,
) -> None:
    """
    Write one chunk, atomically, with *facts* in its metadata.

    Raises:
        StorageError: No space is left; nothing is visible at *path*.
    """
    table = pa.Table.from_arrays([to_arrow(series), to_arrow(time_ms), to_arrow(value)], schema=SAMPLES.with_metadata(facts))
    write_table(path, table, column_encoding=ENCODING)


def read_columns(path: Path, content: bytes | None = None) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """
    Series, time in ms and value of one chunk in order of series and time, page checksums verified.

    Args:
        path: The chunk.
        content: What stands in it, where that was read already.

    Raises:
        StorageError: It is not a chunk, not whole, or a series has a moment twice or goes back in time.
    """
    table = read_table(path, content=content)
    try:
        return _ordered(*_columns(table))
    except ValueError as error:
        raise StorageError(f"{path} is not a chunk of samples: {error}") from error


def _columns(table: pa.Table) -> Columns:
    if table.schema.equals(PACKED):
        return unpacked(table)
    if not table.schema.equals(SAMPLES):
        raise ValueError("it has other columns than its kind of file should have")
    series, time_ms = to_numpy(table.column("series"), np.int32), to_numpy(table.column("time_ms"), np.int64)
    return series, time_ms, to_numpy(table.column("value"), np.float64)


def _ordered(series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> Columns:
    """The columns in order of series: a packed chunk has its series side by side, but not by number."""
    step = np.diff(series)
    if bool(np.any(step < 0)):
        order = np.argsort(series, kind="stable")
        series, time_ms, value = series[order], time_ms[order], value[order]
        step = np.diff(series)
    if len(series) and (series[0] < 0 or bool(np.any((step == 0) & (np.diff(time_ms) <= 0)))):
        raise ValueError("it is not in order of series and time")
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
    table = pa.Table.from_arrays([to_arrow(numbers), *map(text_to_arrow, texts)], schema=SERIES)
    write_table(path, table)


def read_series_file(path: Path, content: bytes | None = None) -> tuple[Series, ...]:
    """
    The series in one file; *content* as in :func:`read_columns`.

    Raises:
        StorageError: It is not a table of series, or not whole.
    """
    rows = _checked(path, SERIES, content).to_pylist()
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


def _checked(path: Path, schema: pa.Schema, content: bytes | None) -> pa.Table:
    table = read_table(path, content=content)
    if not table.schema.equals(schema):
        raise StorageError(f"{path} has other columns than its kind of file should have")
    return table
