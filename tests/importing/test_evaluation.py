"""Imported windows of a real Prometheus, scored: from three imports to a detector table, by the commands that a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import tidegauge
from flows.cli import main
from flows.document import validate, with_overrides
from flows.imports import chosen
from flows.synthesis import experiment_of
from tasks.artifacts.store import Store
from tasks.base.yaml_source import Source
from tests.conftest import ROOT
from tests.flows.conftest import Outcome
from tests.prometheus.history import START_MS
from tests.prometheus.recorded import arguments, serving
from tests.prometheus.shop import FAILING, shop

STEP_MS = 5000
MINUTE_MS = 60_000
FAULT_MS = (START_MS + 38 * MINUTE_MS, START_MS + 39 * MINUTE_MS)
WINDOWS = {"training": (0, 20), "calibration": (20.5, 33), "faults": (33.5, 45)}
"""Minutes of the history that each role gets."""


def window(role: str) -> tuple[int, int]:
    """First and last moment of a role's part."""
    first, last = WINDOWS[role]
    return START_MS + round(first * MINUTE_MS), START_MS + round(last * MINUTE_MS)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    """A store with three imports of a shop whose carts were slow, and failed, for a minute of the third."""
    folder = tmp_path_factory.mktemp("evaluation")
    labels = folder / "faults.csv"
    labels.write_text(f"kind,target,start,end\nslow release,carts,{FAULT_MS[0] / 1000},{FAULT_MS[1] / 1000}\n")
    times = np.arange(START_MS, START_MS + 45 * MINUTE_MS + 1, STEP_MS)
    with serving(folder / "server", shop(times, target="carts", faults_ms=[FAULT_MS])) as server:
        for role in WINDOWS:
            more = ["--role", role, "--name", role, *(["--labels", str(labels)] if role == "faults" else [])]
            assert main([*arguments(server.url, *window(role), folder / "store", *more), "--quiet"]) == 0
    return folder / "store"


def typed(*argv: str, store: Path) -> Outcome:
    """A command in a process of its own, as Prefect wants it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge", *argv, "--store", str(store)],
        cwd=ROOT,
        env={**kept, "HOME": str(store.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_a_fault_in_an_import_is_detected(imported):
    """Three imports by name, one command: the fault is found, its service ranked first, and what works on a run works on this one."""
    done = typed("evaluate", "--imports", *WINDOWS, "--set", "detectors=[robust_z]", "--json", store=imported)
    again = typed("evaluate", "--run", "latest", "--json", store=imported)
    shown = typed("runs", "show", store=imported)
    opened = tidegauge.open_run("latest", imported)

    assert done.code == 0, done.err
    assert "faults (faults), 2026-09-21T14:33:30 to 2026-09-21T14:45:00: run " in done.err
    (found,) = (row for row in done.value["detectors"] if row["name"] == "robust_z")
    assert (found["events_detected"], found["impact_events"]) == (1, 1)
    assert found["delay_median_s"] <= 30
    ranks = {(row["method"], row["level"], row["onset"]): row["ac_at_1"] for row in done.value["ranking"]}
    assert ranks["robust", "service", "own"] == ranks["robust", "service", "injected"] == 1
    assert [(one["name"], one["role"], one["degraded_s"]) for one in done.value["recordings"]] == [(role, role, None) for role in WINDOWS]
    assert (again.code, again.value["run"]) == (0, done.value["run"])
    assert "evidence of edges is off" in shown.out
    report = Path(done.value["report"]).read_text()
    jsonschema.validate(done.value, json.loads((ROOT / "docs" / "reference" / "run.schema.json").read_text()))
    assert [fault["kind"] for fault in done.value["faults"]] == ["slow release"]
    assert (found["load_changing_s"], found["load_change_ratio"]) == (None, None)
    assert report.count("Imported from http://127.0.0.1") == 3
    assert "nobody watched load and machine" in report
    assert "evidence of edges is off" in report
    assert opened.document["features"]["grid_s"] == STEP_MS / 1000
    assert opened.labels("faults")["target"].tolist() == ["carts"]
    assert opened.matrix("faults").loc["2026-09-21 14:38:30":"2026-09-21 14:39:00", "carts/error_ratio"].median() == pytest.approx(
        FAILING, abs=0.1
    )


def test_what_was_set_can_be_set_again(imported):
    """The document of the run is one: another budget is put into it as into any other."""
    with_budget = with_overrides(
        Source("it", experiment_of(chosen(Store(imported), list(WINDOWS)), None, []).to_json(), {}), ["evaluation.false_alarms_per_day=9"]
    )

    assert validate(with_budget).evaluation.false_alarms_per_day == 9
