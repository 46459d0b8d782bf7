"""
Where what was built for the cluster is kept: one folder a key under ``${XDG_CACHE_HOME:-~/.cache}/tidegauge/cluster``.

A folder appears whole or not at all, and never changes: it is made under another name while a lock is held, flushed, and
renamed. Its name ends with a digest of the recipe, so that two checkouts with different recipes share one cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

RECIPE = Path(__file__).resolve().parent / "recipe"


def cache_root() -> Path:
    """The folder of all keys; it need not exist."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "tidegauge" / "cluster"


def digest_of(part: str, *more: str) -> str:
    """16 hex digits of SHA-256 over names and bytes of all files of *part* of the recipe, and over the texts *more*."""
    digest = hashlib.sha256()
    folder = RECIPE / part
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    for text in more:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()[:16]


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """
    The folder *name* of the cache, made by *make* if it is not there.

    Args:
        name: Name of the folder, with its key.
        make: Fills an empty folder, or raises: then nothing is kept.
    """
    root = cache_root()
    folder = root / name
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".lock"):
        if not folder.is_dir():
            _make(folder, make)
    return folder


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    for left in folder.parent.glob("*.part"):  # of a builder that was killed: the lock is ours
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        make(part)
        part.chmod(0o755)
        _flush(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Onto the disk, so that a crash after the rename leaves no short file."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
