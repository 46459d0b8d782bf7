"""``tidegauge serve``: deployments with forms, a schedule that fires, runs started through the API, nothing left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from flows.temporary import free_port
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tests.conftest import ROOT
from tests.flows.eventually import eventually
from tests.stored_run import copied_run

pytestmark = pytest.mark.timeout(240)
START_S = 150.0


@dataclass(frozen=True)
class Served:
    """A running `tidegauge serve`."""

    process: subprocess.Popen[bytes]
    api: httpx.Client
    store: Store
    log: Path

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The reply of the API; an error of it is an error of the test."""
        reply = self.api.post(path, json=body)
        reply.raise_for_status()
        return reply.json()

    def deployment(self, name: str) -> dict[str, Any]:
        """The deployment called *name*, once it is registered."""

        def registered() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.log.read_text()
            try:
                found = self.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
            except httpx.HTTPError:
                return None
            return found[0] if found else None

        return eventually(registered, START_S, f"the deployment {name} was never registered", 0.5)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command as its user starts it, over a store with one run; ended by SIGINT when the tests are done."""
    root = tmp_path_factory.mktemp("serve")
    store, log, port = copied_run(root / "store"), root / "serve.log", free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    argv = [sys.executable, "-m", "tidegauge", "serve", "--cron", "* * * * *", "--port", str(port), "--store", str(store.root)]
    with log.open("wb") as sink:
        process = subprocess.Popen(argv, cwd=ROOT, env={**environment, "HOME": str(root)}, stdout=sink, stderr=sink, start_new_session=True)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=10, trust_env=False) as api:
        try:
            yield Served(process, api, store, log)
        finally:
            if process.poll() is None:
                for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    child.kill()
                process.wait()


def test_forms_have_titles_groups_and_bounds(served):
    """The schema behind the form of *experiment*: nested groups, descriptions, bounds, and a shipped document by name."""
    schema = served.deployment("experiment")["parameter_openapi_schema"]

    assert set(schema["properties"]) == {"experiment", "require_cached", "refresh"}
    assert all(one.get("title") for one in schema["properties"].values())
    definitions = schema["definitions"]
    evaluation = definitions["EvaluationConfig"]["properties"]["false_alarms_per_day"]
    assert evaluation["description"]
    assert "exclusiveMinimum" in evaluation or "minimum" in evaluation
    undescribed = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, facts in definition.get("properties", {}).items()
        if not facts.get("description") and field != "kind"
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("experiment", {"experiment": "../demo"}),
        ("experiment", {"require_cached": "perhaps"}),
        ("evaluate", {"evaluation": {"false_alarms_per_day": -1}}),
        ("evaluate", {"evaluation": {"false_alarms": 24}}),
    ],
)
def test_the_server_refuses_what_the_form_would_not_allow(served, name, parameters):
    """A parameter that is out of bounds or unknown never becomes a flow run."""
    deployment = served.deployment(name)

    reply = served.api.post(f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters})

    assert reply.status_code in (409, 422), reply.text


def test_the_schedule_really_schedules(served):
    """The baseline's cron line becomes flow runs in the future, through the server's own scheduler."""
    deployment = served.deployment("baseline-long")
    assert deployment["schedules"][0]["schedule"]["cron"] == "* * * * *"
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}}

    found = eventually(lambda: served.post("/flow_runs/filter", wanted), 60, "no run of the schedule appeared", 0.5)

    assert all(run["auto_scheduled"] for run in found)
    served.api.patch(f"/deployments/{deployment['id']}", json={"paused": True}).raise_for_status()


def test_a_run_from_the_ui_completes(served):
    """`evaluate` with another budget, started through the API as the form does: a new record with its parent."""
    deployment = served.deployment("evaluate")
    parent = Runs(served.store).read("latest")
    parameters = {"run": parent["run"], "evaluation": {"false_alarms_per_day": 12.0}}

    made = served.post(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})

    def ended() -> str | None:
        state = served.api.get(f"/flow_runs/{made['id']}").json()["state"]
        return str(state["name"]) if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    assert eventually(ended, 100, "the run never ended", 0.5) == "Completed", served.log.read_text()[-3000:]
    record = Runs(served.store).read("latest")
    assert (record["parent"], record["status"]) == (parent["run"], "complete")
    assert {stage["name"] for stage in record["stages"] if stage["outcome"] == "ran"} == {"evaluate", "rank", "report"}
    assert record["prefect"]["flow_run"] == made["id"]


def test_an_interrupt_ends_it_and_its_server(served):
    """SIGINT: the command ends with 130 or 0, and no process of it is left."""
    served.deployment("evaluate")
    everyone = psutil.Process(served.process.pid).children(recursive=True)
    assert everyone

    served.process.send_signal(signal.SIGINT)

    code = served.process.wait(40)
    assert code in (0, 130), served.log.read_text()[-2000:]
    eventually(lambda: not [one for one in everyone if one.is_running() and one.status() != "zombie"], 15, "a process was left")
