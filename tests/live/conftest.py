"""
One real cluster for all tests that want one, and ``build/live.json``: what came up, how fast, and what was left.

It is brought up for them, unless ``TIDEGAUGE_LIVE_CONTEXT`` names another one: there the tests run in namespaces of their own, and
those that need the machine of the cluster, or images that it has not, are skipped with the reason. Where no cluster can be brought
up, the tests that need one are skipped, too; with ``TIDEGAUGE_REQUIRE_LIVE=1`` they fail instead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import PreflightError
from tests.ledger import FILES, Book, Ledger, kept
from tests.live.artifacts import binaries
from tests.live.context import Foreign, absent, chosen, joined
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
    own_netns: Path | None
    """None: its network is not on this machine."""
    context: str
    program: str | None = None
    """kubectl; None: the one that was built with the cluster."""

    @property
    def ours(self) -> bool:
        """Whether it was brought up here: its only node is this machine, and its kubelet looks every second."""
        return self.own_netns is not None

    @property
    def netns(self) -> Path:
        """Its network, for who has to be inside; where it is not here, the test is skipped."""
        self.require_node()
        assert self.own_netns is not None
        return self.own_netns

    def require_node(self) -> None:
        """Skip the test where the cluster's network and node are not this machine."""
        if not self.ours:
            pytest.skip(f"the network and the node of {self.context} are not on this machine")

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints; it must end with 0."""
        program = self.program
        if program is None:
            folder = binaries()
            assert folder is not None
            program = str(folder / "kubectl")
        argv = [program, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.kubeconfig.parent / 'data' / 'kubectl'}"]
        ran = subprocess.run([*argv, *arguments], input=given, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}"
        return ran.stdout


def eventually(check: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until *check* holds."""
    until_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.02)


_BOOK = Book()
_COUNTS: Counter[str] = Counter()
_MACHINES: list[Machine] = []
_FOREIGN: list[Foreign] = []
_LEFT: list[str] = []
GONE_WITHIN_S = 180.0


def pytest_configure(config: pytest.Config) -> None:
    """The markers of this folder; a context that is not to be touched is refused before the first test."""
    config.addinivalue_line("markers", "live: brings up a real Kubernetes; part of `make live` only")
    config.addinivalue_line("markers", "images(*names): skipped on a named context whose nodes do not have these images")
    try:
        if (name := chosen(os.environ)) is not None:
            folder = tempfile.TemporaryDirectory(prefix="tidegauge-live-")
            config.add_cleanup(folder.cleanup)
            _FOREIGN.append(joined(name, Path(folder.name)))
    except PreflightError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def foreign() -> Iterator[Foreign | None]:
    """The cluster that was named, if one was; when the session ends, no namespace of a test is there."""
    if not _FOREIGN:
        yield None
        return
    yield _FOREIGN[0]
    until_s = time.monotonic() + GONE_WITHIN_S
    while (left := _FOREIGN[0].left()) and time.monotonic() < until_s:
        time.sleep(1.0)
    _LEFT.extend(f"namespace {name}" for name in left)
    assert left == [], f"still there in {_FOREIGN[0].context}"


@pytest.fixture(autouse=True)
def _fitting(request: pytest.FixtureRequest, foreign: Foreign | None) -> None:
    """On a named context, no test waits for images that nobody has put there."""
    wanted: set[str] = {name for mark in request.node.iter_markers("images") for name in mark.args}
    if foreign is not None and wanted and (lacking := absent(wanted, _nodes(foreign))):
        pytest.skip(f"not on every node of {foreign.context}: {', '.join(lacking)} (`make cluster` builds them)")


def _nodes(foreign: Foreign) -> Iterable[dict[str, Any]]:
    if not _NODES:
        _NODES.extend(foreign.nodes())
    return _NODES


_NODES: list[dict[str, Any]] = []


@pytest.fixture(scope="session")
def machine(foreign: Foreign | None) -> Iterator[Machine]:
    """This machine, if a cluster can be brought up on it; nothing is up when the session ends."""
    if foreign is not None:
        pytest.skip(f"it needs a cluster that is brought up here, and TIDEGAUGE_LIVE_CONTEXT names {foreign.context}")
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


@pytest.fixture(scope="session")
def standing(request: pytest.FixtureRequest, foreign: Foreign | None) -> Callable[[], Cluster]:
    """Gives the session's cluster, brought up when it is not: for fixtures that outlive a test."""
    if foreign is not None:
        return lambda: Cluster(foreign.kubeconfig, None, foreign.context, foreign.program)
    machine: Machine = request.getfixturevalue("machine")

    def up() -> Cluster:
        machine.up()
        return Cluster(Path(machine.seen["kubeconfig"]), Path(machine.seen["netns"]), machine.seen["context"])

    return up


@pytest.fixture
def cluster(standing: Callable[[], Cluster]) -> Cluster:
    """The session's cluster, brought up by the first test that asks, or the one that was named."""
    return standing()


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test counts its tries; they end up in ``build/reliability-live.json``."""
    _BOOK.asked.add(request.node.nodeid)
    return Ledger(_BOOK, request.node.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _counted(request: pytest.FixtureRequest) -> Iterator[None]:
    with kept(_BOOK, request.session, ROOT / "build" / FILES[1]):
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count each test once: by its call, or by the phase that kept it from being called. What is skipped takes no figure away."""
    if report.skipped:
        _BOOK.asked.discard(report.nodeid)
    if report.when == "call" or not report.passed:
        _COUNTS[report.outcome] += 1


def pytest_sessionfinish() -> None:
    """Write the figures, if a cluster was up."""
    found = [figures(machine) for machine in _MACHINES if machine.ups_s] + [named_figures(one) for one in _FOREIGN]
    for value in found:
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(json.dumps(value, indent=1) + "\n")


def counts() -> dict[str, int]:
    """How the tests ended."""
    return {outcome: _COUNTS[outcome] for outcome in ("passed", "failed", "skipped")}


def figures(machine: Machine) -> dict[str, Any]:
    """Times are medians of every time it went up or down whole, in seconds."""
    return {
        "context": machine.seen.get("context"),
        "version": machine.seen.get("version"),
        "up_s": round(statistics.median(machine.ups_s), 2),
        "down_s": round(statistics.median(machine.downs_s), 2) if machine.downs_s else None,
        **counts(),
        "leftovers": machine.leftovers,
    }


def named_figures(foreign: Foreign) -> dict[str, Any]:
    """Of a cluster that was there: nothing went up or down."""
    try:
        version = foreign.version()
    except PreflightError:
        version = None
    return {"context": foreign.context, "version": version, "up_s": None, "down_s": None, **counts(), "leftovers": _LEFT}
