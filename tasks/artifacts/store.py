"""
The content-addressed store: what is in it is whole, was made once, and never changes.

```text
ROOT/store.json                       when the store was made
ROOT/artifacts/KIND/DIGEST/           manifest.json and the files it lists
ROOT/index/KIND/KEY.json              which artifact answers to a cache key
ROOT/runs/ID.json                     one experiment's artifacts together (tasks.artifacts.runs)
ROOT/staging/                         what is being written; a reader never looks here
ROOT/live/ ROOT/prefect*/             running shops; Prefect's own
```
The digest covers the manifest but for its time, and the manifest the SHA-256 of every file, so a reference pins every byte.
A seal covers the time too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.artifacts.refs import Ref
from tasks.base.errors import DocumentError, StorageError
from tasks.base.files import canonical_json, fsync_folder, read_json, sha256_file, sha256_text, storage_error, write_json

FORMAT = "artifact/1"
FOLDERS = ("artifacts", "index", "runs", "staging", "live", "prefect", "prefect-results")
UNHASHED = ("digest", "created_s", "seal")


@dataclass(frozen=True, slots=True)
class Made:
    """What an artifact was made from and by: the lineage of every number in it."""

    stage: str
    key: str
    made_from: Mapping[str, Ref] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was dropped, repaired or capped."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A committed artifact."""

    ref: Ref
    folder: Path
    manifest: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """
        The path of a listed file.

        Raises:
            StorageError: The manifest lists no such file.
        """
        if name not in self.manifest["files"]:
            raise StorageError(f"{self.ref} holds no {name}; it holds {', '.join(sorted(self.manifest['files']))}")
        return self.folder / name

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry["bytes"] for entry in self.manifest["files"].values())


class Store:
    """A folder of artifacts; made on first use, readable by its owner alone."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def create(self) -> Store:
        """
        Make the folders that are missing, readable by their owner alone; harmless when all are there.

        A folder that held other things before keeps its own mode.
        """
        try:
            ours = not self.root.exists() or (self.root / "store.json").is_file() or not any(self.root.iterdir())
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (*([self.root] if ours else []), *(self.root / name for name in FOLDERS)):
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise storage_error(error, self.root) from error
        if not (self.root / "store.json").exists():
            write_json(self.root / "store.json", {"format": "store/1", "created_s": time.time()})
        return self

    @property
    def created_s(self) -> float:
        """When the store was made; a recording cannot be older unless it was imported."""
        path = self.root / "store.json"
        try:
            return float(read_json(path)["created_s"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{path} is not what was written", next_step="tidegauge runs list --store ANOTHER-FOLDER") from error

    # -- writing -------------------------------------------------------------------------------------------------
    def stage(self, kind: str) -> Path:
        """A new empty folder to fill and :meth:`commit`."""
        folder = self.root / "staging" / f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        return folder

    def commit(self, staged: Path, kind: str, made: Made, *, answers: bool = True) -> Ref:
        """
        Turn *staged* into an artifact: hash every file, write the manifest, rename into place.

        Equal content is kept once. The key of *made* answers with this artifact from now on, unless *answers* is False.

        Raises:
            StorageError: No space is left; nothing is visible.
        """
        try:
            manifest = _manifest(staged, kind, made)
            ref = Ref(kind, manifest["digest"])
            self._place(staged, ref, manifest)
        except OSError as error:
            raise storage_error(error, staged) from error
        if not answers:
            return ref
        index = self.root / "index" / kind
        index.mkdir(mode=0o700, exist_ok=True)
        write_json(index / f"{made.key}.json", {"digest": ref.digest, "created_s": time.time()})
        return ref

    def _place(self, staged: Path, ref: Ref, manifest: Mapping[str, Any]) -> None:
        target = self.folder(ref)
        if target.exists():
            if self.problems(ref):
                target.rename(self.root / "staging" / f"damaged-{ref.digest}-{secrets.token_hex(4)}")
            else:
                shutil.rmtree(staged)
                return
        _sync_tree(staged)
        write_json(staged / "manifest.json", dict(manifest))
        target.parent.mkdir(mode=0o700, exist_ok=True)
        staged.rename(target)
        fsync_folder(target.parent)

    # -- reading -------------------------------------------------------------------------------------------------
    def folder(self, ref: Ref) -> Path:
        """Where *ref* is, or would be."""
        return self.root / "artifacts" / ref.kind / ref.digest

    def open(self, ref: Ref) -> Artifact:
        """
        The artifact, its manifest checked against its digest (files are checked by :meth:`problems`).

        Raises:
            StorageError: It is missing, or its manifest is not the one that was written.
        """
        folder = self.folder(ref)
        if not folder.is_dir() or folder.is_symlink():
            raise StorageError(f"{ref} is not in the store {self.root}", next_step="run again to make it anew")
        manifest = read_json(folder / "manifest.json")
        if not isinstance(manifest, dict) or not manifest.get("digest") == _digest_of(manifest) == ref.digest or not is_sealed(manifest):
            raise StorageError(
                f"the manifest of {ref} is not the one that was written", next_step="tidegauge runs verify latest --read-data"
            )
        return Artifact(ref, folder, manifest)

    def problems(self, ref: Ref, *, read_data: bool = True) -> tuple[str, ...]:
        """Sentences on everything that is not as it was written; empty when all is well. Sizes only without *read_data*."""
        try:
            artifact = self.open(ref)
        except StorageError as error:
            return (error.message,)
        listed = artifact.manifest["files"]
        found = [_file_problem(artifact.folder / name, entry, read_data) for name, entry in sorted(listed.items())]
        found += [f"{path} is no part of what was written" for path in _unlisted(artifact.folder, listed)]
        return tuple(problem for problem in found if problem is not None)

    def find(self, kind: str, key: str) -> Ref | None:
        """The artifact that answers to *key*, if it is there and every byte of it verifies."""
        ref = self.indexed(self.root / "index" / kind / f"{key}.json")
        if ref is None or self.problems(ref):
            return None
        return ref if self.open(ref).manifest["key"] == key else None

    def indexed(self, entry: Path) -> Ref | None:
        """The artifact that the index's file *entry* names; None when it names none."""
        if not entry.is_file():
            return None
        try:
            return Ref.parse(f"{entry.parent.name}/{read_json(entry)['digest']}")
        except (StorageError, DocumentError, KeyError, TypeError):
            return None

    def refs(self) -> Iterator[Ref]:
        """Every artifact there is, by kind and digest; what is called otherwise, and links, are none."""
        for folder in sorted((self.root / "artifacts").glob("*/*")):
            if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
                continue
            try:
                yield Ref.parse(f"{folder.parent.name}/{folder.name}")
            except DocumentError:
                continue


def _manifest(staged: Path, kind: str, made: Made) -> dict[str, Any]:
    files = {
        path.relative_to(staged).as_posix(): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(staged.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind,
        "stage": made.stage,
        "key": made.key,
        "files": files,
        "made_from": {name: str(ref) for name, ref in sorted(made.made_from.items())},
        "settings": dict(made.settings),
        "modules": dict(made.modules),
        "versions": dict(made.versions),
        "notes": list(made.notes),
    }
    return sealed({"digest": _digest_of(manifest), "created_s": time.time(), **manifest})


def _digest_of(manifest: Mapping[str, Any]) -> str:
    return sha256_text(canonical_json({name: value for name, value in manifest.items() if name not in UNHASHED}))[:32]


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """*body* with a checksum over all of it, as ``seal``."""
    return {**body, "seal": sha256_text(canonical_json({name: value for name, value in body.items() if name != "seal"}))}


def is_sealed(body: Mapping[str, Any]) -> bool:
    """Whether the seal of *body* is that of its content."""
    return bool(sealed(body)["seal"] == body.get("seal"))


def _file_problem(path: Path, entry: Mapping[str, Any], read_data: bool) -> str | None:
    if not path.is_file() or path.is_symlink():
        return f"{path} is missing"
    if path.stat().st_size != entry["bytes"]:
        return f"{path} has {path.stat().st_size} bytes, not {entry['bytes']}"
    if read_data and sha256_file(path) != entry["sha256"]:
        return f"{path} is not what was written (SHA-256 differs)"
    return None


def _unlisted(folder: Path, listed: Mapping[str, Any]) -> list[Path]:
    """What somebody put there: a reader that takes all files of a folder must not find it."""
    known = {folder / "manifest.json", *(folder / name for name in listed)}
    return [path for path in sorted(folder.rglob("*")) if path not in known and (path.is_symlink() or not path.is_dir())]


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            fsync_folder(path)
        else:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    fsync_folder(folder)
