"""What a stage's code depends on."""

from __future__ import annotations

import ast

import pytest

from tasks.artifacts.fingerprint import PACKAGES, PROJECT, imported_names


def parsed(source: str) -> set[str]:
    """Imported names as the language's own parser finds them."""
    wanted: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            wanted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            wanted.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return wanted


def test_no_import_of_the_project_is_missed():
    """Whatever the parser finds in a module is found by looking at its lines, too."""
    for path in (path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")):
        assert parsed(path.read_text()) <= imported_names(path.read_text()), path


@pytest.mark.parametrize(
    "source",
    [
        "import tasks.a, tasks.b as c  # and why",
        "def f():\n\tfrom tasks.a import (\n\t\tb,  # one\n\t\tc as d,\n\t)\n",
        "if True:\n    from tasks.a import b as c, d",
        "from tasks.a import *",
    ],
)
def test_every_way_to_import_is_seen(source):
    """On one line or several, inside functions, with other names and comments."""
    assert parsed(source) <= imported_names(source)
