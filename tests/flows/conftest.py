"""One Prefect server for all tests of the flows, and stores that hold a complete run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tests.conftest import ROOT
from tests.stored_run import copied_run


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of a store with one complete run, and the one that flows use."""
    copy = copied_run(tmp_path / "store")
    monkeypatch.setenv("TIDEGAUGE_STORE", str(copy.root))
    return copy


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> dict[str, Any]:
        """Its JSON."""
        return dict(json.loads(self.out))


Command = Callable[..., Outcome]


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    """An environment without anything of the user's Prefect or of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    return {**kept, "HOME": str(tmp_path)}


@pytest.fixture
def tidegauge(clean: dict[str, str]) -> Command:
    """The command line in a process of its own; environment variables are added by keyword."""

    def run(*argv: str, store: Store, cwd: Path = ROOT, **more: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "tidegauge", *argv, "--store", str(store.root)],
            cwd=cwd,
            env={**clean, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def latest(store: Store) -> dict[str, Any]:
    """The newest record that has an evaluation."""
    return Runs(store).read("latest")


def without_computed(store: Store) -> None:
    """Leave only the recordings: everything that was computed from them is forgotten."""
    for place in (store.root / "artifacts", store.root / "index"):
        for kind in place.iterdir():
            if kind.name != "recording":
                shutil.rmtree(kind)


@pytest.fixture
def prefect_url(prefect_server: None) -> str:
    """The address of the session's server, for a command in a process of its own."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    return get_current_settings().api.url or SubprocessASGIServer().api_url
