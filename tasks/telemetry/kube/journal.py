"""``kubernetes.jsonl``: what happened to pods and workloads, and the cluster's own events, a line each, by wall time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.base.files import canonical_json, storage_error

NAME = "kubernetes.jsonl"


class Journal:
    """Appends to the file in *folder*; opening it cuts a line that a killed predecessor left unfinished."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        if self._path.exists() and not (raw := self._path.read_bytes()).endswith(b"\n"):
            self._path.write_bytes(raw[: raw.rfind(b"\n") + 1])

    def write(self, time_s: float, kind: str, **facts: Any) -> None:
        """
        Add a line.

        Raises:
            StorageError: No space is left.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(canonical_json({"time_s": round(time_s, 3), "kind": kind, **facts}) + "\n")
        except OSError as error:
            raise storage_error(error, self._path) from error


def read_journal(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of the file in *folder*, without a torn last one; none where there is no file."""
    path = folder / NAME
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
