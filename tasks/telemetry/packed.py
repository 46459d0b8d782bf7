"""
The second layout of a chunk of samples, for windows of hours: a third of the bytes, and not a bit less.

Most series of an exporter count, or are rounded to a few digits: ``12.75`` is the whole number 1275 with two decimals. Where
``whole / 10**decimals`` gives every value of a series back bit for bit, its whole numbers are stored; otherwise the bits of its
doubles. (The idea is that of Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless Floating-Point Compression", SIGMOD 2023, a series at
a time and without its exceptions.) The series of one target are scraped together: where one has the times of an earlier one of its
row group, they are not stored again; ``like`` is the number of that series, and ``time`` is null.

All three columns of numbers hold differences to the series' sample before (modulo 2**64; of its first sample, to 0), as
``(d << 1) ^ (d >> 63)``, so that small steps either way are small numbers. Samples of a series stand together, ascending in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.base.parquet import GroupWriter
from tasks.telemetry.arrays import to_arrow, to_numpy

PACKED = pa.schema(
    [
        ("series", pa.int32()),
        ("like", pa.int32()),
        ("time", pa.int64()),
        ("whole", pa.int64()),
        ("bits", pa.int64()),
        ("decimals", pa.int8()),
    ]
)
ENCODING = {"series": "DELTA_BINARY_PACKED", **dict.fromkeys(("time", "whole", "bits"), "BYTE_STREAM_SPLIT")}
ZSTD_LEVEL = 5
Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]
DECIMALS = (0, 1, 2, 3, 4, 6)
"""Numbers of decimals that are tried."""
POWERS = np.array([10.0**places for places in range(max(DECIMALS) + 1)])
EXACT = float(2**53)
"""Whole numbers below it are doubles, so a quotient by a power of ten is the double nearest to the decimal."""
PROBES = 8


class PackedWriter:
    """
    Writes one chunk, a row group at a time and compressed; by ``with``, which leaves nothing of one that was not finished.

    Args:
        path: The chunk, which has no name before :meth:`finish`; no file at all is made without a row.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._file: GroupWriter | None = None

    def add(self, series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """
        Add a row group: samples grouped by series, ascending in time.

        Raises:
            StorageError: No space is left.
        """
        if not len(series):
            return
        if self._file is None:
            self._file = GroupWriter(self._path, PACKED, ENCODING, ZSTD_LEVEL)
        self._file.settle()
        self._file.add(_columns_of(series, time_ms, value))
        self.rows += len(series)

    def finish(self, facts: Mapping[str, str]) -> None:
        """
        Put the chunk at its path, atomically, with *facts* in its metadata.

        Raises:
            StorageError: No space is left; nothing is visible there.
        """
        if self._file is not None:
            self._file.finish(facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.__exit__(*error)


def _columns_of(series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> list[pa.Array]:
    """The columns of a row group."""
    runs = Runs.of(series)
    like, decimals = runs.sharing(time_ms), decimals_of(runs, value)
    own, plain = runs.spread(like == np.arange(len(like))), runs.spread(decimals < 0)
    return [
        to_arrow(series),
        to_arrow(runs.spread(series[runs.starts[like]]), valid=~own),
        to_arrow(runs.differences(time_ms), valid=own),
        to_arrow(runs.differences(_wholes(runs, value, decimals)), valid=~plain),
        to_arrow(runs.differences(value.view(np.int64)), valid=plain),
        to_arrow(runs.spread(decimals)),
    ]


def _wholes(runs: Runs, value: NDArray[np.float64], decimals: NDArray[np.int8]) -> NDArray[np.int64]:
    """The whole numbers that stand for each *value*; anything for series that have none."""
    whole = runs.spread(np.where(decimals < 0, 0.0, POWERS[np.maximum(decimals, 0)]))
    with np.errstate(invalid="ignore"):
        np.multiply(whole, value, out=whole)
        found: NDArray[np.int64] = np.rint(whole, out=whole).astype(np.int64)
        return found


@dataclass(frozen=True, slots=True)
class Runs:
    """Where the samples of each series begin, and how many there are: ``(k,)`` each."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, series: NDArray[np.int32]) -> Self:
        """The runs of equal numbers in *series*."""
        if not len(series):
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        starts = np.flatnonzero(np.concatenate([[True], series[1:] != series[:-1]]))
        return cls(starts, np.diff(starts, append=len(series)))

    def spread(self, each: NDArray[Any]) -> NDArray[Any]:
        """``(n,)`` of ``(k,)``: what is true of a run, for all its samples."""
        return np.repeat(each, self.lengths)

    def differences(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Each number less the one before it in its run, so that small ones of either sign are small."""
        steps = np.empty_like(numbers)
        np.subtract(numbers[1:], numbers[:-1], out=steps[1:])
        steps[self.starts] = numbers[self.starts]
        signs = steps >> 63
        np.left_shift(steps, 1, out=steps)
        np.bitwise_xor(steps, signs, out=steps)
        return steps

    def added_up(self, folded: NDArray[np.int64]) -> NDArray[np.int64]:
        """What :meth:`differences` was given."""
        unsigned = folded.view(np.uint64)
        steps = ((unsigned >> np.uint64(1)) ^ (np.uint64(0) - (unsigned & np.uint64(1)))).view(np.int64)
        sums = np.cumsum(steps)
        before = np.where(self.starts > 0, sums[self.starts - 1], 0)
        return np.asarray(sums - np.repeat(before, self.lengths))

    def sharing(self, time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each run ``(k,)`` the first one that has the same times: itself, where no earlier one has."""
        first: dict[bytes, int] = {}
        bounds = zip(self.starts.tolist(), (self.starts + self.lengths).tolist(), strict=True)
        return np.array([first.setdefault(time_ms[start:end].tobytes(), run) for run, (start, end) in enumerate(bounds)], np.int64)


def decimals_of(runs: Runs, value: NDArray[np.float64]) -> NDArray[np.int8]:
    """Decimals ``(k,)`` with which whole numbers give each series' *value* back; -1 where none do."""
    decimals = np.full(len(runs.starts), -1, np.int8)
    guess = _guessed(value, runs.starts, runs.starts + runs.lengths)
    for places in DECIMALS:
        chosen = np.flatnonzero(guess == places)
        if not len(chosen):
            continue
        starts, lengths = runs.starts[chosen], runs.lengths[chosen]
        same = _is_decimal(value if len(chosen) == len(guess) else value[_rows(starts, lengths)], places)
        exact = np.logical_and.reduceat(same, np.cumsum(lengths) - lengths)
        decimals[chosen[exact]] = places
    return decimals


def _guessed(value: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int8]:
    """Fewest decimals ``(k,)`` that fit a few samples of each series; -1 where none do."""
    guess = np.full(len(starts), -1, np.int8)
    if not len(starts):
        return guess
    at = np.linspace(starts, ends - 1, PROBES).astype(np.int64)
    probes = value[at]
    for places in reversed(DECIMALS):
        guess[_is_decimal(probes, places).all(axis=0)] = places
    return guess


def _is_decimal(value: NDArray[np.float64], places: int) -> NDArray[np.bool_]:
    """Where *value* is a whole number of 10**-places to the last bit; -0.0, NaN and infinities never are."""
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.rint(value * POWERS[places])
        fits = np.abs(whole) < EXACT
        back = np.where(fits, whole, 0.0)
        if places:
            back /= POWERS[places]
    return np.asarray(fits & ((back + 0.0).view(np.int64) == value.view(np.int64)))


def _rows(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """All rows of the slices of *lengths* that begin at *starts*."""
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))


def unpacked(table: pa.Table) -> Columns:
    """
    Series, times in ms and values ``(n,)`` of a packed *table*, in its own order.

    Raises:
        ValueError: It is not as :class:`PackedWriter` writes it.
    """
    parts = [_group(batch) for batch in table.to_batches() if batch.num_rows]
    if not parts:
        return np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0)
    if len(parts) == 1:
        return parts[0]
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def _group(batch: pa.RecordBatch) -> Columns:
    series, decimals = (_whole_column(batch.column(name), kind) for name, kind in (("series", np.int32), ("decimals", np.int8)))
    (time, own), (whole, has_whole), (bits, has_bits) = (_filled(batch.column(name), np.int64) for name in ("time", "whole", "bits"))
    plain = decimals < 0
    if int(decimals.max()) > max(DECIMALS) or int(decimals.min()) < -1:
        raise ValueError("a number of decimals is out of range")
    if not (np.array_equal(has_bits, plain) and np.array_equal(has_whole, ~plain)):
        raise ValueError("a sample has no value, or two")
    runs = Runs.of(series)
    number = runs.added_up(np.where(plain, bits, whole))
    value = np.where(plain, number.view(np.float64), number / POWERS[np.maximum(decimals, 0)])
    like, shares = _filled(batch.column("like"), np.int32)
    if not np.array_equal(shares, ~own):
        raise ValueError("a sample has no time, or two")
    return series, _times(runs, series, np.where(own, time, 0), np.where(own, series, like)), value


def _times(runs: Runs, series: NDArray[np.int32], time: NDArray[np.int64], like: NDArray[np.int32]) -> NDArray[np.int64]:
    """Times ``(n,)``: each series' own, or those of the series that it is *like*."""
    times, numbers, wanted = runs.added_up(time), series[runs.starts], like[runs.starts]
    if not np.array_equal(np.repeat(wanted, runs.lengths), like):
        raise ValueError("a series has some of its times from elsewhere, and others not")
    order = None if np.all(numbers[1:] > numbers[:-1]) else np.argsort(numbers)
    source = np.minimum(np.searchsorted(numbers, wanted, sorter=order), len(numbers) - 1)
    source = source if order is None else order[source]
    if not (np.array_equal(numbers[source], wanted) and np.array_equal(wanted[source], wanted)):
        raise ValueError("a series has the times of one that has none of its own")
    if not np.array_equal(runs.lengths[source], runs.lengths):
        raise ValueError("a series has the times of a longer or shorter one")
    return times[_rows(runs.starts[source], runs.lengths)]


def _whole_column(column: pa.Array, dtype: type[np.generic]) -> NDArray[Any]:
    return to_numpy(pa.chunked_array([column]), dtype)


def _filled(column: pa.Array, dtype: type[np.generic]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A column with anything for nulls, and where it has none."""
    known, data = column.buffers()
    values = np.frombuffer(data, dtype, count=len(column), offset=column.offset * np.dtype(dtype).itemsize)
    if known is None:
        return values, np.ones(len(column), np.bool_)
    valid = np.unpackbits(np.frombuffer(known, np.uint8), bitorder="little")[column.offset : column.offset + len(column)]
    return values, valid.astype(np.bool_)
