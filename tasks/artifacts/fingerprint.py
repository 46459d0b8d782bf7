"""Which code made a thing: the modules of a folder and every project module they import, by content."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasks.base.files import canonical_json, sha256_file, sha256_text

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("tasks", "flows")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """SHA-256 of each module file (path relative to the project), and one digest of them all."""

    modules: Mapping[str, str]

    @property
    def digest(self) -> str:
        """One value for the whole."""
        return sha256_text(canonical_json(dict(self.modules)))

    def changed(self, root: Path = PROJECT) -> tuple[str, ...]:
        """Modules whose file differs now from what it was then, or is gone."""
        return tuple(sorted(path for path, digest in self.modules.items() if _digest(root / path) != digest))


def _digest(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def fingerprint(places: Iterable[str], root: Path = PROJECT) -> Fingerprint:
    """
    Fingerprint of *places*, dotted names of packages or modules such as ``tasks.evaluation``.

    A package stands for all files in it, templates and the like included. Imports are followed inside the project, wherever in a module
    they stand; third-party packages are named by their versions elsewhere.
    """
    waiting = [path for place in places for path in _files(place, root)]
    found: dict[Path, str] = {}
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = sha256_file(path)
            waiting.extend(_imports(path, found[path], root) if path.suffix == ".py" else ())
    return Fingerprint(dict(sorted((path.relative_to(root).as_posix(), digest) for path, digest in found.items())))


def _files(place: str, root: Path) -> list[Path]:
    base = root.joinpath(*place.split("."))
    if base.is_dir():
        return sorted(path for path in base.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    module = base.with_suffix(".py")
    if not module.is_file():
        raise ValueError(f"{place} is no module of the project")
    return [module]


_IMPORT = re.compile(r"\n[ \t]*import[ \t]+([^\n#]+)")
_FROM = re.compile(r"\n[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)")


def imported_names(source: str) -> set[str]:
    """
    Every dotted name that *source* may import, submodules included; parsing it would take ten times as long.

    Lines of a text that look like imports are taken for some: a module too many makes a key stricter, never staler.
    """
    source = f"\n{source}"  # to look for ends of lines is faster than to ask at each letter whether a line begins
    names = {part.split(" as ")[0].strip() for found in _IMPORT.findall(source) for part in found.split(",")}
    for module, listed in _FROM.findall(source):
        parts = (part.split("#")[0].split(" as ")[0].strip() for part in re.split(r"[,\n]", listed.strip("()")))
        names |= {module, *(f"{module}.{part}" for part in parts if part)}
    return names


@lru_cache(maxsize=512)
def _imports(path: Path, digest: str, root: Path) -> tuple[Path, ...]:  # noqa: ARG001 -- the digest keys the cache
    names = imported_names(path.read_text())
    modules = (f"{root}/{name.replace('.', '/')}" for name in names if name.partition(".")[0] in PACKAGES)
    files = sorted({file for module in modules for file in (f"{module}.py", f"{module}/__init__.py") if _there(file)})
    return tuple(map(Path, files))


def _there(file: str) -> bool:
    """Whether it is a file; asked for a thousand names, most of which are none of a module."""
    return os.path.isfile(file)  # noqa: PTH113 -- making a path of each would take most of the time
