"""The lock: everything that is installed, by hash, from whatever index the user has."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.structure.code import ROOT

TEXT = (ROOT / "requirements.lock").read_text()
ENTRIES = [entry.replace("\\\n", " ") for entry in re.split(r"\n(?=[^\s#])", TEXT) if entry.strip() and not entry.startswith("#")]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    """A distribution's name as indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


NAMES = {canonical(re.match(r"[\w.-]+", entry)[0]) for entry in ENTRIES}


def test_every_line_is_one_version_with_hashes():
    """Pinned with ``==`` and at least one SHA-256; nothing but a marker beside it."""
    pinned = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+]+( ; [^-]*?)?( +--hash=sha256:[0-9a-f]{64})+\s*")

    assert [entry.split()[0] for entry in ENTRIES if not pinned.fullmatch(entry)] == []


@pytest.mark.parametrize("word", ["index-url", "extra-index", "find-links", "trusted-host", "http:", "https:", "file:", "git+", " @ "])
def test_no_index_and_no_address_is_named(word):
    """What is installed comes from the index that the user has set."""
    assert word not in TEXT


@pytest.mark.parametrize("group", ["dependencies", "dev", "build"])
def test_every_dependency_of_the_project_is_locked(group):
    """Those it runs with, those it is developed with, and those it is built with."""
    wanted = {
        "dependencies": SETTINGS["project"]["dependencies"],
        "dev": SETTINGS["dependency-groups"]["dev"],
        "build": SETTINGS["build-system"]["requires"],
    }[group]

    assert {canonical(re.match(r"[\w.-]+", text)[0]) for text in wanted} - NAMES == set()


def test_every_python_of_the_project_is_covered():
    """One lock for all supported versions: what differs between them is told apart by markers."""
    assert SETTINGS["project"]["requires-python"] == ">=3.11"
    assert len(NAMES) <= len(ENTRIES)
    assert "python_full_version" in TEXT


def test_no_name_has_two_versions_for_one_python():
    """Two entries of one name need markers that exclude each other."""
    by_name: dict[str, list[str]] = {}
    for entry in ENTRIES:
        by_name.setdefault(canonical(re.match(r"[\w.-]+", entry)[0]), []).append(entry.split("--hash")[0])

    assert all(len(found) == 1 or all(" ; " in one for one in found) for found in by_name.values())
