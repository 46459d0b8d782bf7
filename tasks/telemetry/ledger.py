"""
``chunks.jsonl``: one line a chunk, with the digest of its files.

A chunk counts from the moment it is renamed into place, so the newest one may stand without its line for an instant, or
for good after a kill; a resuming writer adds it. Any other difference between ledger and files is an error.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tasks.base.errors import StorageError
from tasks.base.files import canonical_json, sha256_file, sha256_text, storage_error

_CHUNK_NAME = re.compile(r"(\d{6,})\.parquet")


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """What the ledger says of one chunk."""

    chunk: int
    rows: int
    new_series: int
    first_ms: int
    last_ms: int
    duplicates: int
    """Samples left out because their series had one at that time already."""
    late: int
    """Samples older than their series' newest one; kept."""
    samples_sha256: str
    series_sha256: str | None
    """None when no series was new."""

    @classmethod
    def of(cls, folder: Path, chunk: int, *, rows: int, new_series: int, span_ms: tuple[int, int], duplicates: int, late: int) -> Self:
        """What is to be said of a chunk of *folder* whose files are in place; *span_ms* holds its first and last time."""
        return cls(
            chunk=chunk,
            rows=rows,
            new_series=new_series,
            first_ms=span_ms[0],
            last_ms=span_ms[1],
            duplicates=duplicates,
            late=late,
            samples_sha256=sha256_file(samples_path(folder, chunk)),
            series_sha256=sha256_file(series_path(folder, chunk)) if new_series else None,
        )

    def line(self) -> str:
        """One line of the ledger, with a check over the rest of it."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return canonical_json({**fields, "check": sha256_text(canonical_json(fields))[:16]}) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """
        Read what :meth:`line` wrote.

        Raises:
            ValueError: It is not exactly that.
        """
        value: Any = json.loads(line)
        if not isinstance(value, dict):
            raise TypeError("not an object")
        value.pop("check", None)
        entry = cls(**value)
        if entry.line() != line:
            raise ValueError("its check does not match")
        return entry


def ledger_path(folder: Path) -> Path:
    """Where the ledger of the recording in *folder* is."""
    return folder / "chunks.jsonl"


def samples_path(folder: Path, chunk: int) -> Path:
    """Where chunk number *chunk* is."""
    return folder / "samples" / f"{chunk:06d}.parquet"


def series_path(folder: Path, chunk: int) -> Path:
    """Where the series that were new in *chunk* are."""
    return folder / "series" / f"{chunk:06d}.parquet"


def numbers_in(folder: Path) -> list[int]:
    """Numbers of the files ``NNNNNN.parquet`` in *folder*, ascending; temporary files do not count."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for path in folder.iterdir() if (match := _CHUNK_NAME.fullmatch(path.name)))


def read_ledger(folder: Path, since_chunk: int = 0) -> tuple[ChunkEntry, ...]:
    """
    The entries of all chunks after *since_chunk*; a torn last line is left out.

    Raises:
        StorageError: A line is not what was written, or chunks are missing from it.
    """
    return tuple(_entries(ledger_path(folder), since_chunk))


def _entries(path: Path, since_chunk: int) -> Iterator[ChunkEntry]:
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(itertools.islice(file, since_chunk, None), start=since_chunk + 1):
                if not line.endswith("\n"):
                    if "}" in line[:-1]:  # a torn line stops at its closing brace at the latest
                        raise ValueError("its last line ends oddly")
                    return
                entry = ChunkEntry.from_line(line)
                if entry.chunk != number:
                    raise ValueError(f"it is about chunk {entry.chunk}")
                yield entry
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path} is not the ledger that was written: {error}") from error


def append_entry(folder: Path, entry: ChunkEntry) -> None:
    """
    Add *entry* durably.

    Raises:
        StorageError: No space is left; the ledger is as before.
    """
    path = ledger_path(folder)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    raw = entry.line().encode()
    size = os.fstat(handle).st_size
    try:
        if os.write(handle, raw) < len(raw):
            os.ftruncate(handle, size)
            raise StorageError(f"no space left while writing {path}", next_step="free some disk space, then run the same command again")
        os.fsync(handle)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        os.close(handle)


def drop_torn_line(folder: Path) -> None:
    """Cut an unfinished last line off the ledger."""
    path = ledger_path(folder)
    if path.exists() and not (raw := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, raw.rfind(b"\n") + 1)
