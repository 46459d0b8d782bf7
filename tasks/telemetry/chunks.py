"""
The chunk writer: samples become immutable files while a recording goes on.

One chunk is written in this order: the table of series that are new in it, the samples (temporary name, fsync, rename:
from here on it counts), the ledger's line. Whatever moment a kill picks, a reader sees whole chunks only.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import LockedError, StorageError
from tasks.base.files import storage_error
from tasks.base.parquet import read_facts
from tasks.telemetry.columns import DUPLICATES, LATE, read_columns, read_series_file, write_samples, write_series
from tasks.telemetry.ledger import (
    ChunkEntry,
    append_entry,
    drop_torn_line,
    numbers_in,
    read_ledger,
    samples_path,
    series_path,
)
from tasks.telemetry.samples import read_series
from tasks.telemetry.series import Series, SeriesTable


@dataclass(slots=True)
class _Buffer:
    series: array[int] = field(default_factory=lambda: array("i"))
    time_ms: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class _Batch:
    series: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    new_series: tuple[Series, ...]
    duplicates: int
    late: int


class ChunkWriter:
    """
    Appends samples to a recording's folder; one writer a folder, locked by the kernel.

    Opening a folder that has chunks already resumes it: numbers of chunks and series go on where they stood.

    Args:
        folder: The recording; made when it is not there.

    Raises:
        LockedError: Another process writes to *folder*.
        StorageError: What is there is not what was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FolderLock(folder)
        self.chunk = recovered(folder)
        """Number of the newest chunk that is safely on disk; 0 when there is none."""
        self.table = SeriesTable(read_series(folder))
        """Gives out series numbers; a number may be used in :meth:`add` at once."""
        self._buffer = _Buffer()
        self._batch: _Batch | None = None
        self._unlisted: ChunkEntry | None = None
        self._written_series = len(self.table)
        self._newest_ms: NDArray[np.int64] = np.full(len(self.table), np.iinfo(np.int64).min)

    def add(self, time_ms: int, numbers: Sequence[int], values: Sequence[float], stamps_ms: Mapping[int, int] | None = None) -> None:
        """Take ``values[i]`` of series ``numbers[i]`` at *time_ms*, or at ``stamps_ms[i]`` where that is given."""
        first = len(self._buffer.time_ms)
        self._buffer.series.extend(numbers)
        self._buffer.value.extend(values)
        self._buffer.time_ms.extend([time_ms] * len(numbers))
        for index, stamp_ms in (stamps_ms or {}).items():
            self._buffer.time_ms[first + index] = stamp_ms

    def rotate(self) -> bool:
        """Close the batch of samples taken so far, so that :meth:`commit` may write it in another thread; False: there is none."""
        if self._batch is None and self._buffer.series:
            buffer, self._buffer = self._buffer, _Buffer()
            self._batch = self._ordered(buffer)
        return self._batch is not None

    def commit(self) -> ChunkEntry | None:
        """
        Write the closed batch as the next chunk; None when there is none.

        Raises:
            StorageError: No space is left. Nothing of the batch is visible, and the next call tries it again.
        """
        batch = self._batch
        if batch is None:
            return self._list()
        self._list()
        number = self.chunk + 1
        if batch.new_series:
            write_series(series_path(self.folder, number), batch.new_series)
        facts = {DUPLICATES: str(batch.duplicates), LATE: str(batch.late)}
        write_samples(samples_path(self.folder, number), batch.series, batch.time_ms, batch.value, facts)
        self.chunk, self._batch, self._unlisted = number, None, _entry(self.folder, number, batch)
        return self._list()

    def flush(self) -> ChunkEntry | None:
        """
        Write all samples taken so far; None when there are none.

        Raises:
            StorageError: See :meth:`commit`.
        """
        entry = self.commit()
        self.rotate()
        return self.commit() or entry

    def _list(self) -> ChunkEntry | None:
        entry = self._unlisted
        if entry is not None:
            append_entry(self.folder, entry)
            self._unlisted = None
        return entry

    def close(self) -> None:
        """Let go of the folder; samples that were not flushed are forgotten."""
        self._lock.release()

    def _ordered(self, buffer: _Buffer) -> _Batch:
        series = np.frombuffer(buffer.series, dtype=np.int32)
        time_ms = np.frombuffer(buffer.time_ms, dtype=np.int64)
        late = _behind(series, time_ms)
        order = np.lexsort((time_ms, series))
        series, time_ms, value = series[order], time_ms[order], np.frombuffer(buffer.value, dtype=np.float64)[order]
        new = tuple(self.table.since(self._written_series))
        self._written_series += len(new)
        self._newest_ms = np.concatenate([self._newest_ms, np.full(len(new), np.iinfo(np.int64).min)])
        newest = self._newest_ms[series]
        again = time_ms == newest
        again[1:] |= (series[1:] == series[:-1]) & (time_ms[1:] == time_ms[:-1])
        late += int(np.count_nonzero(time_ms < newest))
        np.maximum.at(self._newest_ms, series, time_ms)
        keep = ~again
        return _Batch(series[keep], time_ms[keep], value[keep], new, int(np.count_nonzero(again)), late)


def _behind(series: NDArray[np.int32], time_ms: NDArray[np.int64]) -> int:
    """How many samples came after a younger one of their series."""
    arrival = np.argsort(series, kind="stable")
    return int(np.count_nonzero((np.diff(series[arrival]) == 0) & (np.diff(time_ms[arrival]) < 0)))


class FolderLock:
    """
    The right to write into *folder*, given back by the kernel when the process ends; made when it is not there.

    Raises:
        LockedError: Another process has it.
        StorageError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            for part in (folder / "samples", folder / "series"):
                part.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error(error, folder) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise LockedError(f"another process is recording into {folder}") from error

    def release(self) -> None:
        """Give it back; a second call changes nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def recovered(folder: Path) -> int:
    """Finish what a killed writer left: no temporary files, no series without a chunk, each chunk in the ledger; the newest chunk."""
    for part in ("samples", "series"):
        for torn in (folder / part).glob(".*.tmp"):
            torn.unlink()
    chunks = numbers_in(folder / "samples")
    newest = chunks[-1] if chunks else 0
    for number in numbers_in(folder / "series"):
        if number > newest:
            series_path(folder, number).unlink()
    drop_torn_line(folder)
    listed = len(read_ledger(folder))
    if listed not in (newest, newest - 1):
        raise StorageError(f"{folder} has {newest} chunks and {listed} lines in its ledger", next_step="record into a new folder")
    if listed < newest:
        series, time_ms, value = read_columns(samples_path(folder, newest))
        path = series_path(folder, newest)
        new = read_series_file(path) if path.exists() else ()
        append_entry(folder, _entry(folder, newest, _Batch(series, time_ms, value, new, *_counted(samples_path(folder, newest)))))
    return newest


def _counted(path: Path) -> tuple[int, int]:
    """How many samples were left out of the chunk at *path*, and how many came late, as it says itself; 0 where it does not."""
    facts = read_facts(path)
    try:
        return int(facts.get(DUPLICATES, 0)), int(facts.get(LATE, 0))
    except ValueError as error:
        raise StorageError(f"{path} is not what was written: {error}", next_step="record into a new folder") from error


def _entry(folder: Path, number: int, batch: _Batch) -> ChunkEntry:
    times = batch.time_ms
    return ChunkEntry.of(
        folder,
        number,
        rows=len(batch.series),
        new_series=len(batch.new_series),
        span_ms=(int(times.min()), int(times.max())) if len(times) else (0, 0),
        duplicates=batch.duplicates,
        late=batch.late,
    )
