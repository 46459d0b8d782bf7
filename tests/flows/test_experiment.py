"""The flow *experiment* on stored recordings: what runs, what is reused, what the Prefect server shows."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId, LogFilter
from prefect.client.schemas.filters import LogFilterFlowRunId as OfFlowRun

from flows.document import Experiment, load_document
from flows.experiment import experiment
from tasks.artifacts.refs import Ref
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.errors import PreflightError
from tasks.base.shipped import shipped
from tests.flows.conftest import without_computed
from tests.flows.eventually import eventually

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(180)]
JUDGING = {"evaluate", "rank", "report"}


@pytest.fixture
def document() -> Experiment:
    """The document of the stored run."""
    return load_document(shipped("quick.yaml"))


def run(store: Store, document: Experiment, **parameters: Any) -> dict[str, Any]:
    """Run the flow; its record."""
    return Runs(store).read(experiment(document, **parameters))


def ran(record: dict[str, Any]) -> set[str]:
    """The stages that were not reused."""
    return {stage["name"] for stage in record["stages"] if stage["outcome"] == "ran"}


def task_states(record: dict[str, Any]) -> dict[str, str]:
    """Name of each task run of the record's flow run, and of its state, as the server has them."""
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(record["prefect"]["flow_run"])]))

    def seen() -> dict[str, str] | None:
        with get_client(sync_client=True) as client:
            found = {one.name: one.state_name for one in client.read_task_runs(flow_run_filter=wanted)}
        known = {"Completed", "Cached"}
        return found if len(found) == len(record["stages"]) and set(found.values()) <= known else None

    return eventually(seen, 30, "the server never had all task runs in a final state")


def test_the_first_run_is_completed_and_the_second_cached(store, document):
    """Task runs carry the stages' names; logs and artifacts are on the server; the second run says why it reused each stage."""
    without_computed(store)

    first, second = run(store, document), run(store, document)

    assert ran(first) == {stage["name"] for stage in first["stages"] if not stage["name"].startswith("record:")}
    assert ran(second) == set()
    assert all(stage["why"].startswith("same ") for stage in second["stages"])
    assert second["run"] != first["run"]
    assert second["artifacts"] == first["artifacts"]
    states = task_states(first)
    assert {name for name, state in states.items() if not name.startswith("record:")} == ran(first)
    assert Counter(task_states(second).values()) == {"Cached": len(second["stages"])}
    flow_run = UUID(second["prefect"]["flow_run"])
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(flow_run).state_name == "Completed"
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run])))
    assert {one.key for one in artifacts} == {"run", "detectors"}
    first_flow = UUID(first["prefect"]["flow_run"])

    def lines() -> str:
        with get_client(sync_client=True) as client:
            found = client.read_logs(log_filter=LogFilter(flow_run_id=OfFlowRun(any_=[first_flow])), limit=200)
        text = "\n".join(one.message for one in found)
        return text if "evaluate ran evaluation/" in text else ""

    assert eventually(lines, 30, "the log line of the evaluation never arrived")


@pytest.mark.parametrize(("harm", "stage"), [("deleted", "evaluation"), ("flipped", "train:robust_z")])
def test_a_cached_state_without_its_bytes_is_not_believed(store, document, harm, stage):
    """An artifact that was deleted or changed is made anew, and the result is the one that was there."""
    before = run(store, document)
    folder = store.folder(Ref.parse(before["artifacts"][stage]))
    if harm == "deleted":
        shutil.rmtree(folder)
    else:
        path = max((path for path in folder.iterdir() if path.name != "manifest.json"), key=lambda one: one.stat().st_size)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    after = run(store, document)

    assert ran(after) == {stage.replace("evaluation", "evaluate")}
    assert not store.problems(Ref.parse(after["artifacts"][stage]))
    assert after["detectors"] == before["detectors"]


def test_an_evaluation_setting_reruns_what_judges(store, document):
    """With another budget evaluation, ranking and report are made again, and nothing else."""
    run(store, document)
    evaluation = document.evaluation.model_copy(update={"false_alarms_per_day": 12.0})

    changed = run(store, document.model_copy(update={"evaluation": evaluation}))

    assert ran(changed) == JUDGING


def test_a_further_detector_trains_only_itself(store, document):
    """The models and scores of the others are reused."""
    run(store, document)
    more = Experiment.model_validate({**document.model_dump(), "detectors": (*document.detectors, "ewma")})

    changed = run(store, more)

    assert ran(changed) == {"train:ewma", "score:ewma"} | JUDGING


def test_a_new_recording_reruns_everything_behind_it(store, document, tmp_path):
    """Keys hold the content of a recording, not its settings: the same document on another measurement is computed anew."""
    before = run(store, document)
    replace_recording(store, before["artifacts"]["record:faults"])

    after = run(store, document)

    assert after["artifacts"]["record:faults"] != before["artifacts"]["record:faults"]
    scores = {f"score:{row['name']}" for row in before["detectors"]}
    assert ran(after) == {"featurize:faults"} | scores | JUDGING


def replace_recording(store: Store, text: str) -> None:
    """Another measurement of the same settings: one event more in its log."""
    from tasks.artifacts.store import Made

    old = store.open(Ref.parse(text))
    staged = store.stage("recording")
    for name in old.manifest["files"]:
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(old.folder / name, staged / name)
    with (staged / "events.jsonl").open("a") as events:
        events.write('{"time_s": 1.0, "kind": "note", "service": "carts"}\n')
    store.commit(staged, "recording", Made(old.manifest["stage"], old.manifest["key"], settings=old.manifest["settings"]))


def test_required_reuse_refuses_to_record(store, document):
    """With another seed every recording would have to be made: refused, and the record says so."""
    with pytest.raises(PreflightError, match="record:training would have to be recorded"):
        experiment(document.model_copy(update={"seed": 99}), require_cached=True)

    record = Runs(store).read(Runs(store).ids()[-1])
    assert (record["status"], record["exit_code"]) == ("failed", 3)


def test_refresh_makes_one_stage_anew(store, document):
    """The refreshed stage runs although nothing changed; the same bytes come out, so nothing behind it runs."""
    run(store, document)

    again = run(store, document, refresh=["evaluate"])

    assert ran(again) == {"evaluate"}
