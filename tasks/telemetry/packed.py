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
ZSTD_LEVEL = 3
Columns = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]
DECIMALS = (0, 1, 2, 3, 4, 6)
"""Numbers of decimals that are tried."""
EXACT = float(2**53)
"""Whole numbers below it are doubles, so a quotient by a power of ten is the double nearest to the decimal."""
PROBES = 8


class PackedWriter:
    """Collects one chunk in memory, compressed; nothing is on disk before :meth:`finish`."""

    def __init__(self) -> None:
        self.rows = 0
        self._file = GroupWriter(PACKED, ENCODING, ZSTD_LEVEL)

    def add(self, series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Add a row group: samples grouped by series, ascending in time."""
        if not len(series):
            return
        runs = Runs.of(series)
        like = runs.sharing(time_ms)
        own = np.repeat(like == np.arange(len(like)), runs.lengths)
        decimals = decimals_of(runs, value)
        plain = decimals < 0
        whole = np.where(plain, 0.0, value)
        for places in np.unique(decimals[decimals > 0]).tolist():
            chosen = decimals == places
            whole[chosen] = np.rint(whole[chosen] * 10.0**places)
        columns = [
            to_arrow(series),
            to_arrow(np.repeat(series[runs.starts[like]], runs.lengths), valid=~own),
            to_arrow(runs.differences(time_ms), valid=own),
        ]
        columns.append(to_arrow(runs.differences(whole.astype(np.int64)), valid=~plain))
        del whole
        columns.append(to_arrow(runs.differences(value.view(np.int64)), valid=plain))
        self._file.add([*columns, to_arrow(decimals)])
        self.rows += len(series)

    def finish(self, path: Path, facts: Mapping[str, str]) -> None:
        """
        Put the chunk at *path*, atomically, with *facts* in its metadata.

        Raises:
            StorageError: No space is left; nothing is visible at *path*.
        """
        self._file.finish(path, facts)


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

    def differences(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Each number less the one before it in its run, so that small ones of either sign are small."""
        steps = np.empty_like(numbers)
        steps[0] = 0
        np.subtract(numbers[1:], numbers[:-1], out=steps[1:])
        steps[self.starts] = numbers[self.starts]
        return (steps << 1) ^ (steps >> 63)

    def added_up(self, folded: NDArray[np.int64]) -> NDArray[np.int64]:
        """What :meth:`differences` was given."""
        unsigned = folded.view(np.uint64)
        steps = ((unsigned >> np.uint64(1)) ^ (np.uint64(0) - (unsigned & np.uint64(1)))).view(np.int64)
        sums = np.cumsum(steps)
        before = np.where(self.starts > 0, sums[self.starts - 1], 0)
        return np.asarray(sums - np.repeat(before, self.lengths))

    def sharing(self, time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each run ``(k,)`` the first one that has the same times: itself, where no earlier one has."""
        mixed = (time_ms ^ (time_ms >> 7)) * np.int64(0x2545F4914F6CDD1D)  # wraps; what it says is verified below
        token = np.add.reduceat(mixed, self.starts)
        _, first, group = np.unique(np.stack([token, self.lengths]), axis=1, return_index=True, return_inverse=True)
        like = first[group.ravel()]
        shared = np.flatnonzero(like != np.arange(len(like)))
        if len(shared):
            lengths = self.lengths[shared]
            equal = time_ms[_rows(self.starts[shared], lengths)] == time_ms[_rows(self.starts[like[shared]], lengths)]
            false = ~np.logical_and.reduceat(equal, np.cumsum(lengths) - lengths)
            like[shared[false]] = shared[false]
        return np.asarray(like, np.int64)


def decimals_of(runs: Runs, value: NDArray[np.float64]) -> NDArray[np.int8]:
    """Decimals ``(n,)`` with which whole numbers give each series' *value* back; -1 where none do."""
    decimals = np.full(len(runs.starts), -1, np.int8)
    guess = _guessed(value, runs.starts, runs.starts + runs.lengths)
    for places in DECIMALS:
        chosen = np.flatnonzero(guess == places)
        if not len(chosen):
            continue
        lengths = runs.lengths[chosen]
        same = _is_decimal(value[_rows(runs.starts[chosen], lengths)], places)
        exact = np.logical_and.reduceat(same, np.cumsum(lengths) - lengths)
        decimals[chosen[exact]] = places
    return np.repeat(decimals, runs.lengths)


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
        whole = np.rint(value * 10.0**places)
        fits = np.abs(whole) < EXACT
        back = np.where(fits, whole, 0.0)
        if places:
            back /= 10.0**places
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
    value = runs.added_up(np.where(plain, bits, 0)).view(np.float64)
    if not plain.all():
        powers = 10.0 ** np.arange(max(DECIMALS) + 1)
        value = np.where(plain, value, runs.added_up(np.where(plain, 0, whole)) / powers[np.maximum(decimals, 0)])
    like, shares = _filled(batch.column("like"), np.int32)
    if not np.array_equal(shares, ~own):
        raise ValueError("a sample has no time, or two")
    return series, _times(runs, series, np.where(own, time, 0), np.where(own, series, like)), value


def _times(runs: Runs, series: NDArray[np.int32], time: NDArray[np.int64], like: NDArray[np.int32]) -> NDArray[np.int64]:
    """Times ``(n,)``: each series' own, or those of the series that it is *like*."""
    times, numbers, wanted = runs.added_up(time), series[runs.starts], like[runs.starts]
    if not np.array_equal(np.repeat(wanted, runs.lengths), like):
        raise ValueError("a series has some of its times from elsewhere, and others not")
    order = np.argsort(numbers)
    source = order[np.minimum(np.searchsorted(numbers, wanted, sorter=order), len(numbers) - 1)]
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
