"""Counts what the reliability tests tried and what survived, and writes ``build/reliability.json``; see ``tests/ledger.py``."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.ledger import FILES, ROOT, SEED, Book, Ledger, kept

_BOOK = Book()


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test counts its tries."""
    _BOOK.asked.add(request.node.nodeid)
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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What is skipped says nothing: figures of an earlier session stay."""
    if report.skipped:
        _BOOK.asked.discard(report.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _write(request: pytest.FixtureRequest) -> Iterator[None]:
    with kept(_BOOK, request.session, ROOT / "build" / FILES[0]):
        yield
