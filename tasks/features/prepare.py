"""
From the matrix to what a detector sees: no NaN, by one rule.

A cell that is masked keeps the last value observed for at most ``carry_scrapes`` scrapes of its series, and is the
training median after that. The mask goes along. A row in which more than ``max_masked_ratio`` of the cells were *not
observed* is not scored. An undefined cell (the latency of no request) is filled by the same rule but was observed: a shop
that answers nobody is not a gap in the data, and hiding its rows would hide the fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import PreflightError
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Column, Matrix


@dataclass(frozen=True, slots=True)
class Filling:
    """
    What imputation learned from training, for each column ``(d,)``.

    *median* stands for a cell that nothing was carried to (0 when training never observed the column, which is then
    not *usable*: it is the same constant everywhere and counts in no mask); *resolution* is the least scale, in the metric's unit.
    """

    names: tuple[str, ...]
    median: NDArray[np.float64]
    resolution: NDArray[np.float64]
    usable: NDArray[np.bool_]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "names": list(self.names),
            "median": self.median.tolist(),
            "resolution": self.resolution.tolist(),
            "usable": self.usable.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Filling:
        """Read what :meth:`to_json` wrote."""
        return cls(
            tuple(value["names"]),
            np.array(value["median"], dtype=np.float64),
            np.array(value["resolution"], dtype=np.float64),
            np.array(value["usable"], dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A matrix without NaN.

    *rows* ``(n, d)``; *scored* ``(n,)``: false where too much was not observed; *mask* ``(n, d)``: true where a cell was
    filled; *time_s* ``(n,)`` UTC.
    """

    time_s: NDArray[np.float64]
    rows: NDArray[np.float32]
    scored: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def resolution(columns: Sequence[Column], median: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest change of each column that matters, ``(d,)``: its absolute floor, or its share of *median* ``(d,)`` if larger."""
    absolute = np.array([column.floor_abs for column in columns], dtype=np.float64)
    ratio = np.array([column.floor_ratio for column in columns], dtype=np.float64)
    return np.maximum(absolute, ratio * np.abs(median))


def learn(training: Sequence[Matrix], keep: Sequence[NDArray[np.bool_]] | None = None) -> Filling:
    """
    Learn the medians of the *training* matrices (all of the same columns).

    Args:
        training: Fault-free matrices.
        keep: Rows of each that count, ``(n,)``; None: all (leave out degraded seconds here).

    Raises:
        PreflightError: There is no row.
        ValueError: The matrices differ in their columns.
    """
    columns = training[0].columns
    if any(matrix.columns != columns for matrix in training):
        raise ValueError("the training matrices have different columns")
    rows = [np.ones(matrix.time_s.size, dtype=np.bool_) for matrix in training] if keep is None else list(keep)
    values = np.concatenate([matrix.values[one] for matrix, one in zip(training, rows, strict=True)])
    if not values.size:
        raise PreflightError("the training recordings have no usable row", next_step="record a longer training recording")
    usable = ~np.isnan(values).all(axis=0)
    median = np.zeros(len(columns))
    if usable.any():
        median[usable] = np.nanmedian(values[:, usable].astype(np.float64), axis=0)
    return Filling(tuple(column.name for column in columns), median, resolution(columns, median), usable)


def prepare(matrix: Matrix, filling: Filling, settings: FeaturesConfig) -> Prepared:
    """
    Fill the masked cells of *matrix*, and say which rows may be scored.

    Args:
        matrix: Has the columns that *filling* was learned from.
        filling: From training.
        settings: The two limits.

    Raises:
        ValueError: The columns differ.
    """
    if matrix.names != filling.names:
        raise ValueError("the matrix does not have the columns that imputation was learned from")
    masked = ~matrix.valid
    last = _last_valid(matrix.valid)
    age = np.arange(matrix.time_s.size)[:, None] - last
    scrape_rows = np.maximum(np.rint(matrix.interval_s / matrix.step_s), 1)
    carried = masked & (last >= 0) & (age <= settings.carry_scrapes * scrape_rows)
    rows = np.where(masked, filling.median.astype(np.float32), matrix.values)
    previous = np.take_along_axis(matrix.values, np.maximum(last, 0), axis=0)
    rows = np.where(carried, previous, rows)
    rows[:, ~filling.usable] = 0.0
    gaps = (masked & ~matrix.undefined)[:, filling.usable]
    share = gaps.mean(axis=1) if gaps.shape[1] else np.ones(matrix.time_s.size)
    return Prepared(matrix.time_s, np.ascontiguousarray(rows, dtype=np.float32), share <= settings.max_masked_ratio, masked)


def _last_valid(valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each cell the row of the last valid cell at or above it in its column, -1 where there is none: ``(n, d)``."""
    rows = np.where(valid, np.arange(valid.shape[0])[:, None], -1)
    return np.maximum.accumulate(rows, axis=0)
