"""One small real run of ``configs/quick.yaml`` as its user starts it, and what must hold of it afterwards."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.artifacts.store import Store
from tests.conftest import ROOT

pytestmark = [pytest.mark.shop, pytest.mark.timeout(420)]


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> dict[str, Any]:
        """Its JSON."""
        return json.loads(self.out)


def tidegauge(*argv: str, store: Path) -> Outcome:
    """The command line, in a process of its own, with nothing of the user's Prefect."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    environment["HOME"] = str(store.parent)
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge", *argv, "--store", str(store)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of this module is kept."""
    return tmp_path_factory.mktemp("quick") / "store"


@pytest.fixture(scope="module")
def first(store: Path) -> Outcome:
    """The run itself."""
    before = {process.pid for process in psutil.process_iter()}
    done = tidegauge("run", "configs/quick.yaml", "--json", store=store)
    assert done.code == 0, done.err[-3000:]
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.pid not in before and str(store) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []
    return done


def stages(value: Mapping[str, Any]) -> dict[str, str]:
    """Outcome of each stage."""
    return {stage["name"]: stage["outcome"] for stage in value["stages"]}


def test_everything_in_it_is_real(first, store):
    """Samples, load and faults were measured; faults that hurt are witnessed; the report is there."""
    value = first.value

    assert value["status"] == "complete"
    assert Path(value["report"]).stat().st_size > 50_000
    assert {one["role"] for one in value["recordings"]} == {"training", "calibration", "faults"}
    assert all(one["samples"] > 5_000 and one["series"] > 300 for one in value["recordings"])
    real = [fault for fault in value["faults"] if not fault["placebo"]]
    assert any(fault["outcome"] == "impact" for fault in real)
    assert all(fault["windows"]["reverted"] for fault in value["faults"])
    assert {row["name"] for row in value["detectors"]} >= {"random", "norm", "constant", "robust_z", "pca_spe", "isolation_forest"}
    folder = store / "artifacts" / "recording" / next(one["id"] for one in value["recordings"] if one["role"] == "faults")
    with (folder / "labels.csv").open() as file:
        assert [row["fault_id"] for row in csv.DictReader(file)] == [fault["id"] for fault in value["faults"]]
    assert list((folder / "logs").glob("*.log.gz"))


def test_a_second_run_reuses_every_stage(first, store):
    """A new run, all its stages reused and said why."""
    again = tidegauge("run", "configs/quick.yaml", "--json", store=store)

    assert again.code == 0, again.err[-3000:]
    assert again.value["run"] != first.value["run"]
    assert set(stages(again.value).values()) == {"cached"}
    assert all(stage["why"].startswith("same ") for stage in again.value["stages"])
    assert again.value["detectors"] == first.value["detectors"]


def test_another_budget_touches_only_what_stands_behind_it(first, store):
    """With an evaluation setting changed, evaluation, ranking and report run again; recordings and models do not."""
    again = tidegauge("evaluate", "--run", first.value["run"], "--set", "evaluation.false_alarms_per_day=2000", "--json", store=store)

    assert again.code == 0, again.err[-3000:]
    ran = {name for name, outcome in stages(again.value).items() if outcome == "ran"}
    assert ran == {"evaluate", "rank", "report"}
    assert again.value["parent"] == first.value["run"]


def test_nothing_changed_is_answered_from_the_record(first, store):
    """``evaluate`` with nothing changed writes nothing and returns the same run."""
    record = store / "runs" / f"{first.value['run']}.json"
    before = {path: path.stat().st_mtime_ns for path in (store / "runs").iterdir()}

    again = tidegauge("evaluate", "--run", first.value["run"], "--json", store=store)

    assert again.code == 0
    assert again.value["run"] == first.value["run"]
    assert set(stages(again.value).values()) == {"cached"}
    assert {path: path.stat().st_mtime_ns for path in (store / "runs").iterdir()} == before
    assert record in before


def test_require_cached_refuses_what_would_be_recorded(first, store):
    """Another seed is another recording: refused with its price, exit 3, nothing started."""
    refused = tidegauge("run", "configs/quick.yaml", "--set", "seed=99", "--require-cached", store=store)

    assert refused.code == 3
    assert "record:training has to be recorded (settings changed: seed): about" in refused.err
    assert "Traceback" not in refused.err


def test_every_byte_is_what_was_written(first, store):
    """``runs verify --read-data`` reads everything; a flipped byte is named and ends with exit 6."""
    assert tidegauge("runs", "verify", first.value["run"], "--read-data", store=store).code == 0
    faults = next(one["id"] for one in first.value["recordings"] if one["role"] == "faults")
    path = Store(store).root / "artifacts" / "recording" / faults / "samples" / "000003.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    try:
        flipped = tidegauge("runs", "verify", first.value["run"], "--read-data", store=store)
        evaluated = tidegauge("evaluate", "--run", first.value["run"], store=store)
    finally:
        path.write_bytes(whole)

    assert (flipped.code, evaluated.code) == (6, 6)
    assert "000003.parquet" in flipped.out
    assert "000003.parquet" in evaluated.err
