"""Reading a recording's series and samples back, verified, also while it is still being written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.telemetry.columns import read_columns, read_series_file
from tasks.telemetry.ledger import ChunkEntry, numbers_in, read_ledger, samples_path, series_path
from tasks.telemetry.series import Series


@dataclass(frozen=True, slots=True)
class Chunk:
    """The samples of one chunk in order of (series, time), each moment of a series once; NaN is a value like others."""

    number: int
    series: NDArray[np.int32]
    """Number of each sample's series, shape ``(n,)``."""
    time_ms: NDArray[np.int64]
    """Milliseconds since 1970, UTC, shape ``(n,)``."""
    value: NDArray[np.float64]
    """As exposed, shape ``(n,)``."""
    duplicates: int
    """What its writer left out; 0 as long as it has no line in the ledger."""
    late: int
    """Samples older than their series' newest one in an earlier chunk; 0 as long as it has no line in the ledger."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples in order of (series, time), each moment of a series once; nothing is filled in. NaN is a value like others."""

    series: NDArray[np.int32]
    """Number of each sample's series, shape ``(n,)``."""
    time_ms: NDArray[np.int64]
    """Milliseconds since 1970, UTC, shape ``(n,)``."""
    value: NDArray[np.float64]
    """As exposed, shape ``(n,)``."""
    last_chunk: int
    """The newest chunk among them: what to ask for next with ``since_chunk``."""
    duplicates: int
    """Samples left out because their series had one at that time already; the first one counts."""
    out_of_order: int
    """Samples that arrived after a younger one of their series."""


def read_series(folder: Path) -> tuple[Series, ...]:
    """
    All series of the recording in *folder*, in order of their numbers.

    Raises:
        StorageError: A file is not what was written, or a series is missing.
    """
    newest = max(numbers_in(folder / "samples"), default=0)
    entries = read_ledger(folder)[:newest]
    digests = {entry.chunk: entry.series_sha256 for entry in entries if entry.series_sha256 is not None}
    numbers = sorted({number for number in numbers_in(folder / "series") if number <= newest} | set(digests))
    found: list[Series] = []
    for number in numbers:
        path = series_path(folder, number)
        if number <= len(entries) and number not in digests:
            raise StorageError(f"{path} is not in the ledger of {folder}")
        found.extend(read_series_file(path, _content(path, digests.get(number))))
    if [one.id for one in found] != list(range(len(found))):
        raise StorageError(f"the series of {folder} are not numbered without holes: a file of series is missing or foreign")
    return tuple(found)


def read_chunks(folder: Path, since_chunk: int = 0) -> Iterator[Chunk]:
    """
    The chunks after *since_chunk*, one after the other, each with its digest, page checksums and order checked.

    Chunks that are committed while this goes on are left out. A later chunk may have older samples of a series.

    Raises:
        StorageError: A chunk is missing, or is not what was written.
    """
    numbers = _after(folder, since_chunk)
    entries = read_ledger(folder, since_chunk)
    if len(entries) > len(numbers):  # chunks were committed between the two looks
        numbers = [number for number in _after(folder, since_chunk) if number <= entries[-1].chunk]
    expected = list(range(since_chunk + 1, since_chunk + 1 + max(len(numbers), len(entries))))
    if numbers != expected or len(numbers) > len(entries) + 1:
        missing = sorted(set(expected) - set(numbers)) or numbers[len(entries) :]
        raise StorageError(
            f"{folder} and its ledger differ at chunk {missing[0]:06d}", next_step="tidegauge runs verify latest --read-data"
        )
    for index, number in enumerate(numbers):
        yield _verified(folder, number, entries[index] if index < len(entries) else None)


def read_samples(folder: Path, since_chunk: int = 0) -> Samples:
    """
    The samples of all chunks after *since_chunk* together; see :func:`read_chunks` for one after the other.

    Raises:
        StorageError: A chunk is missing, or is not what was written.
    """
    chunks = list(read_chunks(folder, since_chunk))
    dropped = sum(chunk.duplicates for chunk in chunks)
    late = sum(chunk.late for chunk in chunks)
    return _assembled(chunks, last_chunk=chunks[-1].number if chunks else since_chunk, dropped=dropped, late=late)


def _after(folder: Path, since_chunk: int) -> list[int]:
    return [number for number in numbers_in(folder / "samples") if number > since_chunk]


def _verified(folder: Path, number: int, entry: ChunkEntry | None) -> Chunk:
    path = samples_path(folder, number)
    series, time_ms, value = read_columns(path, _content(path, None if entry is None else entry.samples_sha256))
    if entry is not None and entry.rows != len(series):
        raise StorageError(f"{path} has {len(series)} rows; the ledger says {entry.rows}")
    duplicates, late = (0, 0) if entry is None else (entry.duplicates, entry.late)
    return Chunk(number, series, time_ms, value, duplicates, late)


def _content(path: Path, digest: str | None) -> bytes:
    """What stands at *path*, by its *digest* where there is one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise StorageError(f"{path} is not the file that was written", next_step="tidegauge runs verify latest --read-data")
    return content


def _assembled(chunks: Sequence[Chunk], *, last_chunk: int, dropped: int, late: int) -> Samples:
    """Merge chunks that are each in order: a sample's place follows from the counts alone, without sorting."""
    total = sum(len(chunk.series) for chunk in chunks)
    series = np.empty(total, np.int32)
    time_ms = np.empty(total, np.int64)
    value = np.empty(total, np.float64)
    width = max((int(chunk.series[-1]) + 1 for chunk in chunks if len(chunk.series)), default=0)
    counts = [np.bincount(chunk.series, minlength=width) for chunk in chunks]
    free = np.zeros(width, np.int64)
    if chunks:
        free[1:] = np.cumsum(np.sum(counts, axis=0))[:-1]
    for chunk, count in zip(chunks, counts, strict=True):
        place = (free - (np.cumsum(count) - count))[chunk.series] + np.arange(len(chunk.series))
        series[place], time_ms[place], value[place] = chunk.series, chunk.time_ms, chunk.value
        free += count
    same = series[1:] == series[:-1]
    if not bool(np.any(same & (time_ms[1:] <= time_ms[:-1]))):
        return Samples(series, time_ms, value, last_chunk, dropped, late)
    behind = int(np.count_nonzero(same & (time_ms[1:] < time_ms[:-1])))
    order = np.lexsort((time_ms, series))
    series, time_ms, value = series[order], time_ms[order], value[order]
    keep = np.ones(total, bool)
    keep[1:] = (series[1:] != series[:-1]) | (time_ms[1:] != time_ms[:-1])
    again = total - int(np.count_nonzero(keep))
    return Samples(series[keep], time_ms[keep], value[keep], last_chunk, dropped + again, max(late, behind))
