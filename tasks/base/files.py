"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.base.errors import StorageError

DISK_FACTOR = 1.5
"""An estimate of bytes is trusted no further than this."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def sha256_text(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex; reads it in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make renames inside *folder* durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Draft:
    """What is to stand at *path*, under another name until it is whole: write to :attr:`place`, then :meth:`keep` or :meth:`drop` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")

    def keep(self) -> None:
        """Put it at its path: fsync, rename, fsync of the folder; raises OSError, and what was there before is untouched."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        self.place.replace(self.path)
        fsync_folder(self.path.parent)

    def drop(self) -> None:
        """Leave nothing of it."""
        self.place.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | str) -> None:
    """
    Put *data* at *path*: temporary name, fsync, rename, fsync of the folder.

    Raises:
        StorageError: No space is left; what was at *path* before is untouched.
    """
    raw = data.encode() if isinstance(data, str) else data
    draft = Draft(path)
    try:
        with draft.place.open("xb") as file:
            file.write(raw)
        draft.keep()
    except OSError as error:
        draft.drop()
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> StorageError:
    """The sentence for an *error* met while writing *path*."""
    if error.errno in FULL:
        return StorageError(f"no space left while writing {path}", next_step="free some disk space, then run the same command again")
    return StorageError(f"cannot write {path}: {error.strerror or error}")


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write *value* as readable JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """
    The JSON value at *path*.

    Raises:
        StorageError: It is not there, or is not JSON (NaN is not).
    """
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
