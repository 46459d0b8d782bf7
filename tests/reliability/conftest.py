"""
Counts what the reliability tests tried and what survived, and writes ``build/reliability.json``.

A test asks for ``ledger`` and calls ``ledger.count(...)`` once a try; ``seed`` is printed and settable
(``make reliability SEED=n``).
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

Where = Literal["processes", "cluster", "fake"]
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
OUTPUT = Path(__file__).resolve().parents[2] / "build" / "reliability.json"


@dataclass
class Book:
    """All rows of this session, keyed by (row, where)."""

    rows: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, test: str, row: int, where: Where, fault: str, survived: bool, figure: str | None) -> dict[str, Any]:
        """Add one try to its row, and return the row."""
        entry = self.rows.setdefault(
            (row, where),
            {"row": row, "where": where, "fault": fault, "tried": 0, "survived": 0, "figure": "", "test": [], "seed": SEED},
        )
        entry["tried"] += 1
        entry["survived"] += int(survived)
        entry["figure"] = figure or entry["figure"]
        if test not in entry["test"]:
            entry["test"].append(test)
        return entry


@dataclass(frozen=True)
class Try:
    """A try that counts as lost until it is said to have survived."""

    entry: dict[str, Any]

    def survived(self, figure: str) -> None:
        """Everything promised was seen; *figure* is what was measured, with its unit."""
        self.entry["survived"] += 1
        self.entry["figure"] = figure


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


_BOOK = Book()


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test counts its tries."""
    return Ledger(_BOOK, request.node.nodeid)


@pytest.fixture
def seed() -> int:
    """The session's seed."""
    return SEED


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test: the session's seed and the test's name."""
    return random.Random(f"{SEED}:{request.node.nodeid}")


def pytest_report_header() -> str:
    """Print the seed."""
    return f"reliability seed: {SEED} (repeat with SEED={SEED})"


@pytest.fixture(scope="session", autouse=True)
def _write(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if not _BOOK.rows:
        return
    kept = []
    if OUTPUT.exists() and not _whole(request.session):
        kept = [row for row in json.loads(OUTPUT.read_text()) if (row["row"], row["where"]) not in _BOOK.rows]
    rows = sorted([*kept, *_BOOK.rows.values()], key=lambda row: (row["row"], row["where"]))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=1) + "\n")


def _whole(session: pytest.Session) -> bool:
    """Whether every test of this folder was asked for: then nothing of an earlier session is kept."""
    files = {item.path for item in session.items}
    narrowed = bool(session.config.option.keyword) or any("::" in argument for argument in session.config.args)
    return not narrowed and set(Path(__file__).parent.glob("test_*.py")) <= files
