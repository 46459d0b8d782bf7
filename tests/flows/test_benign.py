"""A benign change on its way through a whole run: labels, evaluation, ranking, record and report."""

from __future__ import annotations

import json
import shutil
from typing import Any

import jsonschema
import pytest

from flows.document import load_document
from flows.experiment import experiment
from flows.records import public
from tasks.artifacts.opened import open_run
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Made, Store
from tasks.base.files import read_json
from tasks.base.shipped import shipped
from tasks.base.trials import Outcome, Trial
from tasks.recordings.labels import write_labels
from tests.docs.generated import ROOT

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(180)]


def run(store: Store) -> dict[str, Any]:
    """The record of a run of the stored run's document."""
    return Runs(store).read(experiment(load_document(shipped("quick.yaml"))))


def called_benign(store: Store, text: str) -> str:
    """Commit the recording *text* once more, with its first impact event called a benign change; the trial's id."""
    old = store.open(Ref.parse(text))
    staged = store.stage("recording")
    for name in old.manifest["files"]:
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old.folder / name, staged / name)
    trials = [Trial.from_json(item) for item in read_json(old.file("faults.json"))]
    first = next(trial for trial in trials if trial.outcome is Outcome.IMPACT)
    changed = Trial.from_json({**first.to_json(), "benign": True, "outcome": Outcome.BENIGN})
    write_labels(staged, [changed if trial is first else trial for trial in trials])
    store.commit(staged, "recording", Made(old.manifest["stage"], old.manifest["key"], settings=old.manifest["settings"]))
    return first.id


def evaluation(store: Store, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All that is known of each detector, by name."""
    return {
        row["name"]: row for row in read_json(store.open(Ref.parse(record["artifacts"]["evaluation"])).file("evaluation.json"))["results"]
    }


def test_a_benign_change_is_no_fault_from_the_labels_to_the_report(store):
    """One event less; what was made of the others is what it was; the change has its own count, and nobody ranks its cause."""
    before = run(store)
    name = called_benign(store, before["artifacts"]["record:faults"])
    after = run(store)
    one, other = evaluation(store, before), evaluation(store, after)

    for detector, row in one.items():
        assert other[detector]["impact_events"] == row["impact_events"] - 1
        assert other[detector]["detections"] == [item for item in row["detections"] if item["trial"] != name]
        assert other[detector]["placebos"] == row["placebos"]
        assert (row["benign_changes"], other[detector]["benign_changes"]) == (0, 1)
    ranking = read_json(store.open(Ref.parse(after["artifacts"]["ranking"])).file("ranking.json"))
    assert name not in {case["trial"] for case in ranking["cases"]}
    labels = open_run(after["run"], store.root).recordings["faults"].labels()
    assert labels.index[labels["benign"]].tolist() == [name]
    assert labels.loc[name, "outcome"] == "benign"
    page = store.open(Ref.parse(after["artifacts"]["report"])).file("report.html").read_text()
    assert "<dt>Benign changes</dt>" in page
    assert "Benign alarms" in page
    told = public(after)
    assert [fault["id"] for fault in told["faults"] if fault["benign"]] == [name]
    jsonschema.validate(told, json.loads((ROOT / "docs" / "reference" / "run.schema.json").read_text()))
