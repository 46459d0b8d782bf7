"""What a server was asked in all, and what it warned of: by this process, and by those before it that were stopped or killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.base.errors import StorageError
from tasks.base.files import read_json, storage_error

COUNTS = ("requests", "received_bytes", "retries", "halved")
FILE = "asked.json"
"""Kept beside the samples of an import while it is under way."""


def added(earlier: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What was told of the way in (see :meth:`Export.to_json`), the counts and warnings of *earlier* added to those of *now*."""
    if earlier is None or now is None:
        told = earlier or now
        return None if told is None else dict(told)
    warnings = dict(earlier["warnings"])
    for text, times in now["warnings"].items():
        warnings[text] = warnings.get(text, 0) + times
    return {**now, **{name: earlier[name] + now[name] for name in COUNTS}, "warnings": warnings}


def remembered(path: Path, *names: str) -> dict[str, Any] | None:
    """
    What a process before this one left at *path*, below *names*; None where nothing is there, or nothing that could be added.

    It is a remark beside the data, so that what cannot be read is no reason to stop.
    """
    try:
        found: Any = read_json(path)
        for name in names:
            found = found[name]
        _ = added(found, {**dict.fromkeys(COUNTS, 0), "warnings": {}})
        return dict(found)
    except (StorageError, KeyError, TypeError, AttributeError):
        return None


def remember(folder: Path, told: Mapping[str, Any] | None) -> None:
    """
    Leave *told* for a process after this one. It is not waited for until it is on the disk: a few counts are at stake.

    Raises:
        StorageError: No space is left.
    """
    import json

    path = folder / FILE
    temporary = path.with_name(f".{FILE}.tmp")
    try:
        temporary.write_text(json.dumps(told))
        temporary.replace(path)
    except OSError as error:
        raise storage_error(error, path) from error
