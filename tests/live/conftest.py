"""
One real cluster for all tests that want one, and ``build/live.json``: what came up, how fast, and what was left.

Where no cluster can be brought up, the tests that need one are skipped with the reasons; with ``TIDEGAUGE_REQUIRE_LIVE=1`` they
fail instead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live.artifacts import binaries
from tests.live.harness.preflight import missing

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "live.json"
REQUIRED = "TIDEGAUGE_REQUIRE_LIVE"


@dataclass
class Machine:
    """The harness's command line, as a user calls it, and what was seen of it."""

    state: Path
    ups_s: list[float] = field(default_factory=list)
    downs_s: list[float] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    """The last status of a cluster that was up."""

    def command(self, verb: str) -> list[str]:
        """The argv of a verb."""
        return [sys.executable, "-m", "tests.live.harness", verb, "--state", str(self.state)]

    def call(self, verb: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(self.command(verb), capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | (env or {}))

    def status(self) -> dict[str, Any]:
        """What ``status`` prints."""
        found: dict[str, Any] = json.loads(self.call("status").stdout)
        return found

    def up(self) -> None:
        """Bring it up, unless it is."""
        begun_s = time.monotonic()
        ran = self.call("up")
        assert ran.returncode == 0, ran.stderr
        if "already" not in ran.stderr:
            self.ups_s.append(time.monotonic() - begun_s)
        self.seen = self.status()

    def down(self) -> subprocess.CompletedProcess[str]:
        """Take it down."""
        was_up, begun_s = self.state.exists(), time.monotonic()
        ran = self.call("down")
        if was_up and ran.returncode == 0:
            self.downs_s.append(time.monotonic() - begun_s)
        return ran

    def down_clean(self) -> None:
        """Take it down, and remember what should not be there."""
        ran = self.down()
        self.leftovers += ran.stdout.splitlines()
        assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    kubeconfig: Path
    netns: Path
    context: str

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints; it must end with 0."""
        folder = binaries()
        assert folder is not None
        argv = [str(folder / "kubectl"), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.kubeconfig.parent / 'data' / 'kubectl'}"]
        ran = subprocess.run([*argv, *arguments], input=given, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}"
        return ran.stdout


def eventually(check: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until *check* holds."""
    until_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.02)


_COUNTS: Counter[str] = Counter()
_MACHINES: list[Machine] = []


def pytest_configure(config: pytest.Config) -> None:
    """The marker of this folder."""
    config.addinivalue_line("markers", "live: brings up a real Kubernetes; part of `make live` only")


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """This machine, if a cluster can be brought up on it; nothing is up when the session ends."""
    reasons = missing()
    if reasons:
        text = f"no cluster can be brought up here: {'; '.join(reasons)}"
        pytest.fail(text) if os.environ.get(REQUIRED) == "1" else pytest.skip(text)
    made = Machine(Path("/var/lib/tidegauge-live-tests"))
    _MACHINES.append(made)
    yield made
    made.down_clean()


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """This machine, with nothing up."""
    machine.down_clean()
    return machine


@pytest.fixture
def cluster(machine: Machine) -> Cluster:
    """The session's cluster, brought up by the first test that asks."""
    machine.up()
    return Cluster(Path(machine.seen["kubeconfig"]), Path(machine.seen["netns"]), machine.seen["context"])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count each test once: by its call, or by the phase that kept it from being called."""
    if report.when == "call" or not report.passed:
        _COUNTS[report.outcome] += 1


def pytest_sessionfinish() -> None:
    """Write the figures, if a cluster was up."""
    for machine in _MACHINES:
        if machine.ups_s:
            OUTPUT.parent.mkdir(exist_ok=True)
            OUTPUT.write_text(json.dumps(figures(machine), indent=1) + "\n")


def figures(machine: Machine) -> dict[str, Any]:
    """Times are medians of every time it went up or down whole, in seconds."""
    return {
        "context": machine.seen.get("context"),
        "version": machine.seen.get("version"),
        "up_s": round(statistics.median(machine.ups_s), 2),
        "down_s": round(statistics.median(machine.downs_s), 2) if machine.downs_s else None,
        **{outcome: _COUNTS[outcome] for outcome in ("passed", "failed", "skipped")},
        "leftovers": machine.leftovers,
    }
