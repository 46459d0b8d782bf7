"""What every test may ask for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Take signals as on a terminal (a shell's background job would pass on that they are ignored), and give examples their time."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Speed is measured by the benchmarks; an example that a busy machine slows down is no failure.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data(root: Path) -> Path:
    """Public labelled data that is never committed; tests that need it skip where it is absent."""
    folder = root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data folder (../shared/data) is absent")
    return folder
