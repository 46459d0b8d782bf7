"""The feature matrix: a regular grid of time by metric, with what was not observed marked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.base.files import read_json, write_json
from tasks.base.parquet import read_table, write_table

FORMAT = "matrix/1"


@dataclass(frozen=True, slots=True)
class Column:
    """
    One metric of one service.

    *floor_abs* (in *unit*) and *floor_ratio* (of the training median) make its resolution: the smallest change that matters.
    """

    name: str
    service: str
    metric: str
    unit: str
    floor_abs: float
    floor_ratio: float


@dataclass(frozen=True, slots=True)
class Matrix:
    """
    Metrics on a regular grid.

    *time_s* ``(n,)``, UTC in seconds since 1970 and *step_s* apart, is where each row ends: no row knows a later sample.
    *values* ``(n, d)`` has NaN exactly where *valid* ``(n, d)`` is false. Such a cell was either not observed (a gap) or is
    *undefined* ``(n, d)``: its service was scraped, but the quantity does not exist, such as the latency of no request.
    *interval_s* ``(d,)`` is the usual distance of a column's scrapes (0: never scraped), *resets* ``(d,)`` how often its
    counters restarted.
    """

    time_s: NDArray[np.float64]
    columns: tuple[Column, ...]
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    undefined: NDArray[np.bool_]
    step_s: float
    interval_s: NDArray[np.float64]
    resets: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, ``service/metric``."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> NDArray[np.float32]:
        """
        Values ``(n,)`` of the column *name*, NaN where masked.

        Raises:
            KeyError: There is no such column.
        """
        try:
            return self.values[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def has(self, name: str) -> bool:
        """Whether there is a column *name*."""
        return name in self.names


def save(matrix: Matrix, folder: Path) -> None:
    """
    Write *matrix* to *folder*.

    ``matrix.parquet`` has ``time_s`` and one float32 column a feature, ``undefined.parquet`` row and column of each
    undefined cell, ``columns.json`` the columns.

    Raises:
        StorageError: No space is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {"time_s": matrix.time_s}
    data |= {column.name: np.ascontiguousarray(matrix.values[:, place]) for place, column in enumerate(matrix.columns)}
    rows, places = np.nonzero(matrix.undefined)
    write_table(folder / "matrix.parquet", pa.table(data))
    write_table(folder / "undefined.parquet", pa.table({"row": rows.astype(np.int32), "column": places.astype(np.int32)}))
    write_json(
        folder / "columns.json",
        {
            "format": FORMAT,
            "step_s": matrix.step_s,
            "columns": [
                {**asdict(column), "interval_s": float(interval), "resets": int(resets)}
                for column, interval, resets in zip(matrix.columns, matrix.interval_s, matrix.resets, strict=True)
            ],
        },
    )


def load(folder: Path) -> Matrix:
    """
    Read what :func:`save` wrote.

    Raises:
        StorageError: A file is missing, torn, or does not fit the others.
    """
    head = read_json(folder / "columns.json")
    table = read_table(folder / "matrix.parquet")
    holes = read_table(folder / "undefined.parquet")
    try:
        if head["format"] != FORMAT:
            raise StorageError(f"{folder} holds a {head['format']!r}, not a {FORMAT!r}")
        entries = [dict(entry) for entry in head["columns"]]
        interval_s = np.array([entry.pop("interval_s") for entry in entries], dtype=np.float64)
        resets = np.array([entry.pop("resets") for entry in entries], dtype=np.int64)
        columns = tuple(Column(**entry) for entry in entries)
        values = np.empty((table.num_rows, len(columns)), dtype=np.float32)
        for place, column in enumerate(columns):
            values[:, place] = table.column(column.name).to_numpy()
        undefined = np.zeros(values.shape, dtype=np.bool_)
        undefined[holes.column("row").to_numpy(), holes.column("column").to_numpy()] = True
        time_s = table.column("time_s").to_numpy().astype(np.float64)
        return Matrix(time_s, columns, values, ~np.isnan(values), undefined, float(head["step_s"]), interval_s, resets)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StorageError(f"{folder} is not a feature matrix: {error}") from error
