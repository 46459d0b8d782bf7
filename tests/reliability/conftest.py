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

    def add(self, test: str, row: int, where: Where, fault: str, survived: bool, figure: str | None) -> None:
        """Add one try to its row."""
        entry = self.rows.setdefault(
            (row, where),
            {"row": row, "where": where, "fault": fault, "tried": 0, "survived": 0, "figure": "", "test": [], "seed": SEED},
        )
        entry["tried"] += 1
        entry["survived"] += int(survived)
        entry["figure"] = figure or entry["figure"]
        if test not in entry["test"]:
            entry["test"].append(test)


@dataclass(frozen=True)
class Ledger:
    """The page of one test."""

    book: Book
    test: str

    def count(self, *, row: int, fault: str, survived: bool, figure: str | None = None, where: Where = "processes") -> None:
        """Count one try of reliability row *row*; *figure* is the last measured value, with its unit."""
        self.book.add(self.test, row, where, fault, survived, figure)


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
def _write() -> Iterator[None]:
    yield
    if not _BOOK.rows:
        return
    replaced = {where for _, where in _BOOK.rows}
    kept = [row for row in json.loads(OUTPUT.read_text()) if row["where"] not in replaced] if OUTPUT.exists() else []
    rows = sorted([*kept, *_BOOK.rows.values()], key=lambda row: (row["row"], row["where"]))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=1) + "\n")
