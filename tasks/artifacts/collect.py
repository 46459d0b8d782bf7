"""Removing what no run needs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import StorageError

STAGING_AGE_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can go: artifacts no run refers to, staging folders of the past, and their size."""

    artifacts: tuple[Ref, ...]
    staging: tuple[Path, ...]
    bytes: int


def needed(store: Store, roots: Iterable[Ref]) -> frozenset[Ref]:
    """*roots* and everything they were made from, at any depth."""
    waiting, found = list(roots), set[Ref]()
    while waiting:
        ref = waiting.pop()
        if ref in found:
            continue
        found.add(ref)
        try:
            manifest = store.open(ref).manifest
        except StorageError:
            continue
        waiting.extend(Ref.parse(text) for text in manifest["made_from"].values())
    return frozenset(found)


def garbage(store: Store, *, now_s: float | None = None) -> Garbage:
    """
    What :func:`collect` would remove; staging counts once it is a day old.

    Raises:
        StorageError: A run record cannot be read: then nobody knows what is needed, and nothing is garbage.
    """
    keep = needed(store, (ref for _, ref in Runs(store).references()))
    artifacts = tuple(ref for ref in store.refs() if ref not in keep)
    horizon = (time.time() if now_s is None else now_s) - STAGING_AGE_S
    staging = tuple(path for path in sorted((store.root / "staging").iterdir()) if path.lstat().st_mtime < horizon)
    size = sum(_size(store.folder(ref)) for ref in artifacts) + sum(_size(path) for path in staging)
    return Garbage(artifacts, staging, size)


def collect(store: Store, found: Garbage) -> None:
    """Remove *found*, index entries first, so that a cache never answers with what is half gone."""
    gone = set(found.artifacts)
    for entry in (store.root / "index").glob("*/*.json"):
        ref = store.indexed(entry)
        if ref is None or ref in gone:
            entry.unlink()
    for path in (*(store.folder(ref) for ref in found.artifacts), *found.staging):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in (folder, *folder.rglob("*")) if path.is_symlink() or path.is_file())
