"""
What tests tried and what survived, counted by the tests themselves while they do it.

A test asks for ``ledger`` and calls ``ledger.count(...)`` once a try, or ``ledger.begin(...)`` before it. Each suite has a file of
its own below ``build/``, with an entry a test: a session replaces those of the tests that it ran, and takes away those of tests
that are no longer in a file that it ran whole. ``make docs`` joins the files.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tasks.base.files import write_atomically

Where = Literal["processes", "cluster", "fake"]
"""Real processes of this machine, a real Kubernetes, or an API server in memory."""
ROOT = Path(__file__).resolve().parent.parent
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
FILES = ("reliability.json", "reliability-live.json")
"""Below ``build/``: of ``tests/reliability``, and of ``tests/live``."""


@dataclass(slots=True)
class Entry:
    """What one test tried of one row."""

    row: int
    where: Where
    test: str
    """Its node id."""
    fault: str
    seed: int = SEED
    tried: int = 0
    survived: int = 0
    figure: str = ""
    """What was measured last, with its unit."""


@dataclass
class Book:
    """All entries of this session."""

    entries: dict[tuple[int, str, str], Entry] = field(default_factory=dict)
    """By row, where and test."""
    asked: set[str] = field(default_factory=set)
    """Node ids of the tests that were there to count."""

    def add(self, test: str, row: int, where: Where, fault: str, survived: bool, figure: str | None) -> Entry:
        """Add one try to its entry, and return it."""
        entry = self.entries.setdefault((row, where, test), Entry(row, where, test, fault))
        entry.tried += 1
        entry.survived += int(survived)
        entry.figure = figure or entry.figure
        return entry


@dataclass(frozen=True)
class Try:
    """A try that counts as lost until it is said to have survived."""

    entry: Entry

    def survived(self, figure: str) -> None:
        """Everything promised was seen; *figure* is what was measured, with its unit."""
        self.entry.survived += 1
        self.entry.figure = figure


@dataclass(frozen=True)
class Ledger:
    """The page of one test."""

    book: Book
    test: str

    def count(self, *, row: int, fault: str, survived: bool, figure: str | None = None, where: Where = "processes") -> None:
        """Count one try of reliability row *row*; *figure* is the last measured value, with its unit."""
        self.book.add(self.test, row, where, fault, survived, figure)

    def begin(self, *, row: int, fault: str, where: Where = "processes") -> Try:
        """Count a try of *row* before its outcome is known."""
        return Try(self.book.add(self.test, row, where, fault, False, None))


def read_entries(path: Path) -> list[Entry]:
    """The entries of a suite's file; none where there is none, or one of another form."""
    try:
        return [Entry(**one) for one in json.loads(path.read_text())["entries"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Write a suite's file."""
    ordered = sorted(entries, key=lambda one: (one.row, one.where, one.test))
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps({"entries": [asdict(one) for one in ordered]}, indent=1) + "\n")


def merged(before: Iterable[Entry], book: Book, collected: Collection[str], whole: Collection[str]) -> list[Entry]:
    """
    The entries after a session.

    Args:
        before: Those of earlier sessions.
        book: Those of this one.
        collected: Node ids of the tests that it ran.
        whole: Files of which it ran every test: what is kept of them is of tests that are still there.
    """
    gone = {one.test for one in before if file_of(one.test) in whole and one.test not in collected}
    kept = [one for one in before if one.test not in book.asked and one.test not in gone]
    return [*kept, *book.entries.values()]


def still_there(test: str, root: Path = ROOT) -> bool:
    """Whether the function of a node id stands in its file."""
    path, name = root / file_of(test), function_of(test)
    return path.is_file() and re.search(rf"^ *def {re.escape(name)}\(", path.read_text(), re.MULTILINE) is not None


def file_of(test: str) -> str:
    """The file in a node id."""
    return test.partition("::")[0]


def function_of(test: str) -> str:
    """The function in a node id; what stands in brackets may hold colons."""
    return test.partition("[")[0].rpartition("::")[2]


def whole_files(session: pytest.Session) -> set[str]:
    """Files of which every test was asked for."""
    options = session.config.option
    if options.keyword or options.markexpr or any("::" in argument for argument in session.config.args):
        return set()
    return {file_of(item.nodeid) for item in session.items}


@contextmanager
def kept(book: Book, session: pytest.Session, path: Path) -> Iterator[None]:
    """Write what *book* counts inside to the suite's file at *path*."""
    yield
    if book.asked:
        write_entries(path, merged(read_entries(path), book, [item.nodeid for item in session.items], whole_files(session)))


def joined(paths: Sequence[Path] = tuple(ROOT / "build" / name for name in FILES)) -> tuple[list[Entry], list[str]]:
    """The entries of all suites, and the tests whose entries are left out since they are no longer there."""
    found = [one for path in paths for one in read_entries(path)]
    gone = {one.test for one in found if not still_there(one.test)}
    return [one for one in found if one.test not in gone], sorted(gone)
