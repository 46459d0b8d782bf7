"""The project's own modules as syntax trees: read, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flows", "tasks", "tidegauge")
LOCUST_FILES = ROOT / "tasks" / "load" / "journeys"
"""Data for Locust, which imports them; nobody else does."""


def modules(*, locust_too: bool = False) -> list[Path]:
    """Every module of the product."""
    found = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return found if locust_too else [path for path in found if not path.is_relative_to(LOCUST_FILES)]


def folders() -> list[str]:
    """The plain folders of ``tasks/`` that hold code."""
    return sorted(path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py"))


@lru_cache(maxsize=1024)
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_bytes(), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted name and line of everything that a module imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def shown(path: Path) -> str:
    """A path for a message."""
    return path.relative_to(ROOT).as_posix()
