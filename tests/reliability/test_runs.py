"""A run is stopped, killed, resumed: real shop, real load, real faults, one small document."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.temporary import free_port
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.clock import from_iso
from tasks.base.files import read_json
from tests.conftest import ROOT
from tests.flows.eventually import eventually

pytestmark = [pytest.mark.shop, pytest.mark.timeout(300)]

DOCUMENT = """\
version: 1
name: tiny
seed: 1
load:
  users: {{shape: constant, users: 8}}
  journeys_per_user_per_s: 0.5
recordings:
  - {{name: {first}, warmup_s: 3}}
  - {{name: {second}, warmup_s: 3}}
  - {{name: calibration, role: calibration, duration_s: 13, warmup_s: 3}}
faults:
  before_s: 14
  duration_s: {fault_s}
  quiet_s: [14, 14]
  placebos: 1
  trials:
    - {{kind: pause, target: catalogue, intensity: 1.0}}
features: {{profile: short, grid_s: 1, rate_window_s: 5}}
detectors: [robust_z]
evaluation: {{profile: short}}
ranking: {{profile: short}}
"""
FAULTS, TRAINING = "faults, role: faults", "training, role: training, duration_s: 13"
CANARIES = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws-5d1f7c",
    "KUBE_TOKEN": "canary-kube-93ab10",
    "DATABASE_PASSWORD": "canary-database-77e2",
    "PREFECT_API_AUTH_STRING": "canary:prefect-login-41bd",
}
FAULT_S = 40.0
ACTIVE_LIMIT_S = 120.0


@dataclass
class Runner:
    """`tidegauge run` in a process of its own, and everything that it started."""

    store: Store
    document: Path
    process: subprocess.Popen[bytes]
    log: Path
    family: list[psutil.Process]

    @property
    def journals(self) -> list[Path]:
        """Fault journals of the shops that are up."""
        return list(self.store.root.glob("live/*/journal/faults.jsonl"))

    def until(self, look: Any, otherwise: str, limit_s: float = ACTIVE_LIMIT_S) -> Any:
        """What *look* finds while the run goes on."""

        def alive() -> Any:
            found = look()
            assert found or self.process.poll() is None, self.log.read_text()[-3000:]
            return found

        return eventually(alive, limit_s, otherwise)

    def until_fault(self) -> None:
        """Return when the fault has been active for three seconds, so that its effect is in the samples."""
        self.until(self._active, "the fault never became active")
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def _active(self) -> bool:
        events = [json.loads(line) for path in self.journals for line in path.read_text().splitlines()]
        return any(event["event"] == "acknowledged" and time.time() > event["wall_s"] + 3 for event in events)

    def left(self) -> list[str]:
        """Processes of this run that are still there: started by it, or naming its store."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == self.process.pid or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                words = " ".join(process.cmdline())
                if process in self.family or str(self.store.root) in words or str(self.store.root) in process.cwd():
                    found.append(f"{process.pid} {words[:200]}")
            except (psutil.Error, OSError):
                continue
        return found

    def record(self) -> dict[str, Any]:
        """The newest record."""
        runs = Runs(self.store)
        return runs.read(runs.ids()[-1])


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the user's Prefect, and secrets that must appear nowhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    return {**kept, "HOME": str(home), **{name: value for name, value in CANARIES.items() if "PREFECT" not in name}, **more}


def start(folder: Path, *, first: str, second: str, fault_s: float = FAULT_S, **more: str) -> Runner:
    """Begin a run in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "tiny.yaml"
    document.write_text(DOCUMENT.format(first=first, second=second, fault_s=f"{fault_s:g}"))
    store, log = Store(folder / "store"), folder / "run.log"
    argv = [sys.executable, "-m", "tidegauge", "run", str(document), "-v", "--store", str(store.root)]
    with log.open("ab") as sink:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment(folder, **more), stdout=sink, stderr=sink, start_new_session=True)
    return Runner(store, document, process, log, [])


def command(runner: Runner, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Another command on the same store."""
    words = [sys.executable, "-m", "tidegauge", *argv, "--store", str(runner.store.root)]
    env = environment(runner.store.root.parent, **more)
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=200)


def kill_rest(runner: Runner) -> None:
    """Whatever a failed test left."""
    for process in [*runner.family, psutil.Process(runner.process.pid)] if runner.process.poll() is None else runner.family:
        if process.is_running():
            process.kill()
    runner.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Prefect server for the runs that do not bring their own, behind a login."""
    from flows.temporary import TemporaryServer, server_argv
    from tasks.base.process import start_child, stop_group

    home = tmp_path_factory.mktemp("server")
    url = f"http://127.0.0.1:{free_port()}/api"
    more = {"PREFECT_HOME": str(home), "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "DO_NOT_TRACK": "1"}
    child = start_child(server_argv(url), output=home / "server.log", env=environment(home, **more))
    try:
        TemporaryServer(url, child, home / "server.log").wait()
        yield url
    finally:
        stop_group(child, grace_s=5)


def check_partial(runner: Runner) -> None:
    """The recording that was cut short is committed as incomplete, reads back, and holds the fault's real end."""
    from tasks.telemetry.samples import read_samples

    record = runner.record()
    ref = Ref.parse(record["artifacts"]["record:faults"])
    assert runner.store.problems(ref) == ()
    folder = runner.store.folder(ref)
    assert read_json(folder / "recording.json")["status"] == "incomplete"
    assert len(read_samples(folder).value) > 1000
    (fault,) = read_json(folder / "faults.json")
    windows = fault["windows"]
    lasted = from_iso(windows["reverted"]) - from_iso(windows["acknowledged"])
    assert 0 < lasted < FAULT_S / 2
    assert fault["outcome"] == "impact"
    assert windows["reverted"] in (folder / "labels.csv").read_text()


def test_a_signal_during_a_fault(ledger, tmp_path, server):
    """Row 24: SIGINT, SIGTERM, SIGHUP: reverted before the exit, `cancelled`, what was measured is kept, nothing runs on."""
    signals = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
    runners = {signum: start(tmp_path / signum.name, first=FAULTS, second=TRAINING, PREFECT_API_URL=server) for signum in signals}
    try:
        for signum, code in signals.items():
            runner = runners[signum]
            tried = ledger.begin(row=24, fault=f"{signum.name} during a fault")
            runner.until_fault()
            asked_s = time.time()
            runner.process.send_signal(signum)
            time.sleep(0.3)  # a second one while it cleans up must not disturb it
            runner.process.send_signal(signum)
            ended = runner.process.wait(60)

            record = runner.record()
            assert (ended, record["status"], record["exit_code"]) == (code, "cancelled", code), runner.log.read_text()[-3000:]
            assert runner.left() == []
            assert not list(runner.store.root.glob("live/*"))
            assert not list(runner.store.root.glob("staging/*"))
            check_partial(runner)
            reverted_s = from_iso(record["faults"][0]["windows"]["reverted"])
            assert asked_s <= reverted_s < time.time()
            tried.survived(f"reverted after {reverted_s - asked_s:.2f} s")
    finally:
        for runner in runners.values():
            kill_rest(runner)


def test_the_runner_is_killed_during_a_fault(ledger, tmp_path):
    """Row 23: kill -9 under `run`: everything is gone but the guard, which ends the fault; the next start tells all of it."""
    tried = ledger.begin(row=23, fault="kill -9 of the runner during a fault")
    runner = start(tmp_path / "killed", first=FAULTS, second=TRAINING, fault_s=12)
    try:
        runner.until_fault()
        killed_s = time.time()
        runner.process.kill()
        runner.process.wait()

        eventually(lambda: not [one for one in runner.left() if "tasks.faults.guard" not in one], 10, f"left: {runner.left()}")
        journal = runner.journals[0]
        eventually(lambda: '"verified"' in journal.read_text(), 12 + 10, "the fault was not reverted")
        after_s = time.time() - killed_s
        eventually(lambda: runner.left() == [], 10, "the guard did not end")
        said = json.loads(command(runner, "status", "--json").stdout)
        assert [(one["alive"], one["finished"]) for one in said["runs"]] == [(False, [])]
        assert [one["active_faults"] for one in said["shops"]] == [[]]
        next_run = command(runner, "run", str(runner.document), "--require-cached")
        assert next_run.returncode == 3, next_run.stderr
        down = command(runner, "down", "--all")
        assert down.returncode == 0, down.stderr
        assert not list(runner.store.root.glob("live/*"))
        tried.survived(f"verified {after_s:.1f} s after the kill")
    finally:
        kill_rest(runner)


def test_killed_load_and_killed_flow(ledger, tmp_path, server):
    """
    Rows 29, 30 and 37 on one run.

    Locust is killed while the first recording goes on: seen within 10 s, its seconds are degraded. The flow is killed in
    the second one: the next start marks the run failed, tells Prefect, and does not redo what was finished. Secrets of
    the environment are nowhere in what either wrote.
    """
    load, flow = ledger.begin(row=29, fault="kill -9 of Locust"), ledger.begin(row=30, fault="kill -9 of the flow")
    runner = start(tmp_path / "resumed", first=TRAINING.replace("13", "25"), second=FAULTS, fault_s=8, PREFECT_API_URL=server)
    try:
        raw = "staging/*/load/raw-000001.jsonl"
        runner.until(lambda: any(len(path.read_text().splitlines()) > 10 for path in runner.store.root.glob(raw)), "no load")
        locust = next(one for one in psutil.Process(runner.process.pid).children(recursive=True) if "locust" in one.cmdline())
        killed_s = time.time()
        locust.kill()
        runner.until(lambda: list(runner.store.root.glob("staging/*/load/raw-000002.jsonl")), "the load was not started again", 10)
        seen_s = time.time() - killed_s

        runner.until(lambda: [stage for stage in runner.record()["stages"] if stage["name"] == "record:training"], "no training")
        runner.until(lambda: list(runner.store.root.glob("live/faults-*/state.json")), "the second recording never began")
        runner.family = psutil.Process(runner.process.pid).children(recursive=True)
        runner.process.kill()
        runner.process.wait()
        eventually(lambda: runner.left() == [], 10, "something lived on")
        died = runner.record()

        second = command(runner, "run", str(runner.document), "-v", PREFECT_API_URL=server)

        assert second.returncode in (0, 8), second.stderr[-3000:]
        check_degraded(runner, killed_s)
        load.survived(f"seen after {seen_s:.1f} s")
        check_resumed(runner, died, second.stderr, server)
        flow.survived("0 finished stages redone")
        hits = leaks(tmp_path / "resumed") + [name for name, value in CANARIES.items() if value in second.stdout + second.stderr]
        for name in CANARIES:
            ledger.count(row=37, fault=f"{name} in the environment", survived=name not in " ".join(hits), figure=f"{len(hits)} hits")
        assert hits == []
    finally:
        kill_rest(runner)


def check_degraded(runner: Runner, killed_s: float) -> None:
    """The seconds without load are degraded, with a reason, in a recording that is complete nevertheless."""
    folder = runner.store.folder(Ref.parse(runner.record()["artifacts"]["record:training"]))
    degraded = {entry["second"]: entry["reasons"] for entry in read_json(folder / "degraded.json")}
    assert any("generator-restarted" in reasons for reasons in degraded.values()), degraded
    assert any(killed_s - 1 <= second <= killed_s + 3 for second in degraded), (killed_s, degraded)
    assert any("started again" in note for note in read_json(folder / "recording.json")["notes"])


def check_resumed(runner: Runner, died: dict[str, Any], said: str, server: str) -> None:
    """The dead run is failed here and crashed in Prefect; what it had finished was reused."""
    import httpx

    assert Runs(runner.store).read(died["run"])["status"] == "failed"
    assert f"run {died['run']} is marked failed" in said
    assert "is taken down" in said
    outcomes = {stage["name"]: stage["outcome"] for stage in runner.record()["stages"]}
    assert outcomes["record:training"] == "cached"
    assert outcomes.get("report") == "ran", runner.record()["error"]
    state = httpx.get(f"{server}/flow_runs/{died['prefect']['flow_run']}", trust_env=False).json()["state"]
    assert state["type"] == "CRASHED"


def leaks(folder: Path) -> list[str]:
    """Files below *folder* that hold a secret of the environment, compressed ones unpacked."""
    import gzip

    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            data += gzip.decompress(data) if path.suffix == ".gz" else b""
            found += [f"{name} in {path}" for name, value in CANARIES.items() if value.encode() in data]
    return found
