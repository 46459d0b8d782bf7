"""What is said of a run whose process was killed, before any other run has found it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.cli import main
from flows.document import load_document
from flows.records import reconcile
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.process import ProcessId, identify, stat_of
from tasks.base.shipped import shipped
from tests.conftest import ROOT

BEGIN = """
import json, sys
from pathlib import Path
from flows.records import RunRecord
from tasks.artifacts.store import Store

store, extent, document = Store(Path(sys.argv[1])).create(), sys.argv[2], json.loads(sys.argv[3])
begun = RunRecord.begin(store, name="demo", document=document, profile="", extent=extent, parent=None, prefect={"flow_run": None})
begun.body["stages"].append({"name": "record:training", "outcome": "ran", "why": "new", "seconds": 1.0})
begun.write()
print(begun.run, flush=True)
if (word := sys.stdin.readline().strip()) == "end":
    begun.end("complete", 0)
"""
"""A process that begins a run, and ends it in order when it is told to."""
WHY = "its process ended without a word; finished and kept: record:training"


@contextmanager
def begun(store: Path, extent: str = "everything") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run that goes on in a process of its own, and its id."""
    document = {} if extent == "import" else load_document(shipped("quick.yaml")).to_json()
    argv = [sys.executable, "-c", BEGIN, str(store), extent, json.dumps(document)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        assert run, "no run was begun"
        yield process, run
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def killed(tmp_path: Path) -> str:
    """The id of a run in the store ``tmp_path/store`` whose process was killed."""
    with begun(tmp_path / "store") as (process, run):
        process.send_signal(signal.SIGKILL)
        process.wait()
    return run


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command on that store prints; its exit code is looked at too."""

    def command(*argv: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*argv, "--store", str(tmp_path / "store")]) == code
        told = capsys.readouterr()
        return told.out if code == 0 else told.err

    return command


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below *folder*, with its time."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_killed_run_is_told_as_failed_at_once(killed, said, tmp_path):
    """In the list and alone, as text and as JSON, with what was finished; nothing is written for that."""
    before = contents(tmp_path)

    (listed,) = json.loads(said("runs", "list", "--json"))
    shown = json.loads(said("runs", "show", killed, "--json"))

    assert (listed["run"], listed["status"], listed["exit_code"], listed["ended"]) == (killed, "failed", 1, None)
    assert said("runs", "list").split()[:2] == [killed, "failed"]
    assert shown["status"] == "failed"
    assert f"failed: {WHY}" in said("runs", "show", killed)
    assert contents(tmp_path) == before


def test_the_next_run_writes_down_what_the_list_has_told(killed, said, tmp_path):
    """The same words, once; from then on with the time at which it was found."""
    store = Store(tmp_path / "store")
    told = Runs(store).look(killed)

    ((record, sentence),) = reconcile(store)

    assert sentence == f"run {killed} is marked failed: {WHY}"
    written = Runs(store).read(killed)
    assert {**written, "ended": None, "seal": told["seal"]} == told
    assert written == record | {"seal": written["seal"]}
    assert written["ended"] is not None
    assert reconcile(store) == []


def test_a_run_that_goes_on_is_running(said, tmp_path):
    """However often it is looked at; and one that ends in order is never called failed."""
    with begun(tmp_path / "store") as (process, run):
        for _ in range(5):
            assert [one["status"] for one in json.loads(said("runs", "list", "--json"))] == ["running"]
        assert json.loads(said("runs", "show", run, "--json"))["status"] == "running"
        assert reconcile(Store(tmp_path / "store")) == []
        process.communicate("end\n")
        assert [one["status"] for one in json.loads(said("runs", "list", "--json"))] == ["complete"]


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_failed(tmp_path, monkeypatch):
    """Its process writes the last word and ends, after its record was read and before the process is looked for."""
    with begun(tmp_path / "store") as (process, run):
        alive = ProcessId.alive

        def late(one: ProcessId) -> bool:
            if process.poll() is None:
                process.communicate("end\n")
            return alive(one)

        monkeypatch.setattr(ProcessId, "alive", late)
        store = Store(tmp_path / "store")

        assert reconcile(store) == []
        assert Runs(store).look(run)["status"] == "complete"


def test_a_run_that_nobody_has_waited_for_yet_is_dead_too(said, tmp_path):
    """A zombie has a pid and a start time, and does nothing any more."""
    with begun(tmp_path / "store") as (process, _):
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        found = stat_of(process.pid)

        assert found is not None
        assert found.state == "Z"
        assert [one["status"] for one in json.loads(said("runs", "list", "--json"))] == ["failed"]


def test_another_process_with_the_pid_is_not_the_run(killed, said, tmp_path):
    """Its pid was given to somebody else, who lives: only the start time tells them apart."""
    runs, me = Runs(Store(tmp_path / "store")), identify(os.getpid())
    assert me is not None

    runs.write({**runs.read(killed), "process": {"pid": me.pid, "start_ticks": me.start_ticks - 1}})
    assert [one["status"] for one in json.loads(said("runs", "list", "--json"))] == ["failed"]

    runs.write({**runs.read(killed), "process": {"pid": me.pid, "start_ticks": me.start_ticks}})
    assert [one["status"] for one in json.loads(said("runs", "list", "--json"))] == ["running"]


def test_other_commands_take_it_for_dead_as_well(killed, said):
    """It cannot be asked to stop, and `status` says that it died."""
    assert f"run {killed} is not running; it is failed" in said("cancel", "--run", killed, code=2)
    assert f"run {killed} (demo) died; finished: record:training" in said("status")


def test_the_status_of_an_import_is_told(said, tmp_path):
    """It has no document, and nothing of it is to be recorded."""
    with begun(tmp_path / "store", "import") as (_, run):
        (told,) = json.loads(said("status", "--json"))["runs"]

    assert (told["run"], told["alive"], told["to_record"]) == (run, True, [])


def test_looking_makes_no_store(said, tmp_path):
    """Where there is none, there are no runs."""
    assert said("runs", "list") == "no runs yet; try: tidegauge run configs/demo.yaml\n"
    assert "no run" in said("runs", "show", code=2)
    assert not (tmp_path / "store").exists()
