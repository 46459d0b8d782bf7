"""The files that an app of Kubernetes objects is made from: where they are, and one digest of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.app.config import ChartApp, ClusterApp, ManifestApp
from tasks.base.errors import DocumentError, PreflightError
from tasks.base.yaml_events import Loc

SUFFIXES = (".yaml", ".yml", ".json")
LIMIT_FILES = 2000
LIMIT_BYTES = 64 << 20
"""Of all files together; more than that is no description of an app."""


def named_paths(settings: ClusterApp) -> Iterator[tuple[Loc, str]]:
    """Every path in *settings*, with the place of its setting inside the app."""
    if isinstance(settings, ManifestApp):
        yield from ((("manifests", index), name) for index, name in enumerate(settings.manifests))
    if isinstance(settings, ChartApp):
        yield ("chart", "path"), settings.chart.path
        yield from ((("chart", "values", index), name) for index, name in enumerate(settings.chart.values))


def located(name: str, folder: Path | None) -> Path:
    """
    The path that *name* means.

    Raises:
        DocumentError: It is relative and there is no *folder*, or nothing is there.
    """
    path = Path(name) if folder is None else folder / name
    if not path.is_absolute() and folder is None:
        raise DocumentError(f"{name} is relative, and this document lies in no folder", next_step="write the whole path")
    if not path.exists():
        raise DocumentError(f"{path} is not there")
    return path.resolve()


def manifest_files(path: Path) -> tuple[Path, ...]:
    """
    *path* itself, or the YAML and JSON files in the folder that it is; those in folders below it are not read, as by kubectl.

    Raises:
        DocumentError: There are none, or too many.
    """
    if not path.is_dir():
        return (path,)
    found = tuple(sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file() and not one.name.startswith(".")))
    if not found:
        raise DocumentError(f"in {path} there is no file that ends in {', '.join(SUFFIXES)}")
    if len(found) > LIMIT_FILES:
        raise DocumentError(f"{path} holds {len(found):,} manifests; more than {LIMIT_FILES:,} are not read")
    return found


def digest_of(settings: ClusterApp, folder: Path | None) -> str:
    """
    SHA-256 over names and bytes of everything that *settings* name; the same wherever it lies.

    Raises:
        DocumentError: Something is not there, or too large.
    """
    digest, left = hashlib.sha256(), LIMIT_BYTES
    for _, name in named_paths(settings):
        path = located(name, folder)
        for relative, file in sorted(_files(path, whole=isinstance(settings, ChartApp))):
            raw = file.read_bytes()
            left -= len(raw)
            if left < 0:
                raise DocumentError(f"{path} and what is named with it hold more than {LIMIT_BYTES >> 20} MiB")
            digest.update(f"{relative}\0{len(raw)}\0".encode() + raw)
        digest.update(b"\0\0")
    return digest.hexdigest()


def require_unchanged(settings: ClusterApp, folder: Path | None) -> None:
    """
    Let what was read with the document be deployed, and nothing else.

    Raises:
        DocumentError: A file is gone.
        PreflightError: One has changed since.
    """
    if settings.digest is not None and digest_of(settings, folder) != settings.digest:
        names = ", ".join(name for _, name in named_paths(settings))
        raise PreflightError(f"{names}: changed since the experiment was read", next_step="start the experiment again")


def _files(path: Path, *, whole: bool) -> Iterable[tuple[str, Path]]:
    if not path.is_dir():
        return [(path.name, path)]
    if not whole:
        return [(one.name, one) for one in manifest_files(path)]
    every = (one for one in path.rglob("*") if one.is_file() and ".git" not in one.parts)
    return [(one.relative_to(path).as_posix(), one) for one in every]
