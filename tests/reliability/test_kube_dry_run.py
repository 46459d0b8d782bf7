"""Rows 27 and 42: a dry run writes nothing, whatever the document; and a run that may not do all it plans has written nothing either."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.carry import carry_out
from flows.cli import main
from flows.cluster_checks import cluster_checks, require_rights
from flows.cluster_plan import parts_of
from flows.document import Experiment, load_document
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.base.clock import SystemClock
from tasks.base.errors import PreflightError
from tasks.base.shipped import shipped
from tasks.cluster.kube.lease import Holder, new_lease
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.rights import rights_of
from tasks.kube.permission import Permission
from tasks.kube.rights import roles
from tasks.recordings.kube.rights import needs_of
from tests.kube.fake_api import FakeApi
from tests.ledger import Ledger

SHIPPED = [path.name for path in sorted(shipped("").glob("*.yaml")) if "provider: kubeconfig" in path.read_text()]
PROMETHEUS = "telemetry.sources=[{kind: prometheus, service: 'monitoring/prometheus:9090'}]"
ZOO = {
    "as shipped": (),
    "a namespace that is there": ("cluster.create_namespace=false",),
    "a Prometheus that is there": (PROMETHEUS,),
    "a Prometheus to be put there": ("telemetry.sources=[{kind: prometheus, deploy: {namespace: monitoring, volume_gib: 1}}]",),
    "load from here": ("load.place=here", "load.workers=1", "load.address=http://127.0.0.1:8080"),
    "no kubelets": ("cluster.node_proxy=false", "telemetry.sources=[{kind: kubelet, containers: none}]"),
    "the Sock Shop": ("app={kind: sock-shop}", "faults.trials=[{kind: service_outage, target: user}]", "faults.quiet_s=[300, 320]"),
    "many workers": ("load.workers=20",),
    "a cluster that commands make": (
        "cluster={provider: command, commands: kind, namespace: tidegauge, node_helper: true, node_proxy: true}",
    ),
}
"""Overrides of the shipped documents, so that each part of a run is met in each of its forms."""
LACKING = {"metadata": {"name": "none", "namespace": "tidegauge"}, "kind": "Role", "rules": []}


@pytest.fixture
def api() -> Any:
    """A server without the namespace of the documents."""
    with FakeApi(namespaces=()) as running:
        yield running


@pytest.fixture
def rehearse(api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """``run --dry-run --json`` of a shipped document; its exit code and what it printed first."""
    config = api.kubeconfig(tmp_path / "kubeconfig")

    def command(name: str, overrides: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        place = () if any(one.startswith("cluster=") for one in overrides) else (f"cluster.kubeconfig={config}",)
        sets = [word for one in (*overrides, *place) for word in ("--set", one)]
        code = main(["run", str(shipped(name)), "--dry-run", "--json", "--store", str(tmp_path / "store"), *sets])
        return code, json.JSONDecoder().raw_decode(capsys.readouterr().out)[0]

    return command


@pytest.mark.parametrize("state", ["no namespace", "namespace", "no rights", "in use"])
@pytest.mark.parametrize("overrides", ZOO)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_dry_run_writes_nothing(
    api: FakeApi, rehearse: Any, tmp_path: Path, ledger: Ledger, name: str, overrides: str, state: str
) -> None:
    """No request that changes something, no file; the plan and the rights are told, and the exit code is that of the run."""
    one = ledger.begin(row=27, where="fake", fault="`--dry-run`, over a zoo of documents")
    if state != "no namespace":
        for namespace in ("tidegauge", "monitoring"):
            api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    if state == "no rights":
        api.granted = [LACKING]
    if state == "in use":
        api.put(new_lease("tidegauge", Holder("somebody", "there", "1"), 60, SystemClock().wall_s()))
    before = api.objects.version
    code, told = rehearse(name, ZOO[overrides])

    assert api.writes == []
    assert api.objects.version == before
    assert not (tmp_path / "store").exists()
    assert told["cluster"]["rights"]
    assert "kind: Role" in told["dry_run"]["role"]
    assert code == expected(overrides, state)
    one.survived(f"mutating calls {len(api.writes)}")


def expected(overrides: str, state: str) -> int:
    """The exit code: as the run would end before it begins."""
    if "commands" in overrides:
        return 0
    if state == "no namespace":
        return 3 if ZOO[overrides] == ("cluster.create_namespace=false",) else 0
    return {"namespace": 0, "no rights": 3, "in use": 7}[state]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_object_is_tried_at_the_server(api: FakeApi, rehearse: Any, name: str) -> None:
    """Those of the app, the load and the smoke test; what is refused is told with its reason, and so is what could not be tried."""
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegauge"}})
    _, told = rehearse(name)
    counts = {one["part"]: one["counts"] for one in told["cluster"]["objects"]}
    verdicts = [one["verdict"] for one in told["dry_run"]["writes"]]
    api.granted = roles("run", rights_for(load_document(shipped(name))))
    assert [one["verdict"] for one in rehearse(name)[1]["dry_run"]["writes"]] == verdicts, "with no more rights than a run has"
    assert verdicts == ["accepted"] * (sum(counts["app"].values()) + sum(counts["load"].values()))
    assert "just before each begins" in told["dry_run"]["untried"][0]

    api.fail_next(403, message="exceeded quota: few", reason="Forbidden", method="PATCH", path="/deployments/carts")
    code, told = rehearse(name)
    refused = [one for one in told["dry_run"]["writes"] if one["verdict"] == "refused"]
    assert (code, [one["object"] for one in refused]) == (3, ["deployment/carts in tidegauge"])
    assert "exceeded quota" in refused[0]["said"]


def breaking(kind: str, config: Path) -> Experiment:
    """The shipped ladder with one kind of fault alone."""
    trial = next(one for one in load_document(shipped("kubernetes-ladder.yaml")).faults.trials if one.kind == kind)
    trials = f"faults.trials=[{{kind: {kind}, target: {trial.target}}}]"
    return load_document(shipped("kubernetes-ladder.yaml"), [trials, "faults.placebos=1", f"cluster.kubeconfig={config}"])


def rights_for(document: Experiment) -> set[Permission]:
    """All that *document* cannot do without."""
    app = manifests_of(app_of(document.app), Placement(document.cluster.namespace, "run-1"))
    return {need.permission for need in needs_of(parts_of(document, document.cluster, app)) if not need.optional}


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_that_only_a_fault_needs_is_missed_before_the_first_write(api: FakeApi, tmp_path: Path, ledger: Ledger, kind: str) -> None:
    """Each right of each kind is taken away in turn: it is refused, says which lacks, and prints a Role of just that."""
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegauge"}})
    document = breaking(kind, api.kubeconfig(tmp_path / "kubeconfig"))
    needed, said = rights_for(document), []
    api.granted = roles("run", needed)
    require_rights(document, tmp_path / "store", said.append)
    for lacking in sorted(rights_of([kind], "tidegauge"), key=str):
        one = ledger.begin(row=42, fault="a role that is too wide or too narrow", where="fake")
        api.granted = roles("run", needed - {lacking})
        with pytest.raises(PreflightError) as told:
            require_rights(document, tmp_path / "store", said.append)
        assert f"this login may not {lacking} (" in told.value.message
        assert told.value.message.count("- verbs:") + told.value.message.count("  verbs:") == 1
        assert api.writes == []
        one.survived(f"rights of {kind}: {len(rights_of([kind], 'tidegauge'))}, each missed before the first write")
    assert said == []


def test_no_flow_begins_without_the_rights(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made in the cluster, and no run is noted."""
    monkeypatch.setenv("TIDEGAUGE_STORE", str(tmp_path / "store"))
    document = breaking("cpu_hog", api.kubeconfig(tmp_path / "kubeconfig"))
    api.granted = roles("run", rights_for(document) - rights_of(["cpu_hog"], "tidegauge"))

    with pytest.raises(PreflightError, match="this login may not"):
        carry_out(document, "record")
    assert api.writes == []
    assert not list((tmp_path / "store").glob("runs/*"))


@pytest.mark.parametrize("kind", ["service_outage", "pod_kill"])
def test_a_shell_is_not_asked_for_where_no_fault_needs_one(api: FakeApi, tmp_path: Path, kind: str) -> None:
    """Whoever may not run programs in containers can do all other faults."""
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegauge"}})
    document = breaking(kind, api.kubeconfig(tmp_path / "kubeconfig"))
    api.granted = [
        {**role, "rules": [rule for rule in role["rules"] if "pods/exec" not in rule["resources"]]}
        for role in roles("run", rights_for(breaking("cpu_hog", tmp_path)) | rights_for(document))
    ]

    require_rights(document, tmp_path, str)
    with pytest.raises(PreflightError, match="pods/exec in tidegauge \\(the fault cpu_hog\\)"):
        require_rights(breaking("cpu_hog", tmp_path / "kubeconfig"), tmp_path, str)


def test_doctor_asks_for_what_the_run_asks_for(api: FakeApi, tmp_path: Path) -> None:
    """The same rights, with the reason for the one that lacks, and a Role of just that; a plan without such a fault is fine."""
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidegauge"}})
    config = api.kubeconfig(tmp_path / "kubeconfig")
    shell = Permission("create", "", "pods", "exec", "tidegauge")
    api.granted = roles("run", (rights_for(breaking("cpu_hog", config)) | rights_for(breaking("pod_kill", config))) - {shell})
    told = {
        kind: [one for one in cluster_checks(breaking(kind, config), tmp_path) if one.name == "rights"] for kind in ("cpu_hog", "pod_kill")
    }

    assert [one.state for one in told["pod_kill"] if one.state != "warn"] == ["ok"]
    (lacks,) = [one for one in told["cpu_hog"] if one.state != "warn"]
    assert (lacks.state, lacks.text) == ("fail", "this login may not create pods/exec in tidegauge (the fault cpu_hog)")
    assert lacks.more.count("verbs:") == 1
    assert "- pods/exec" in lacks.more
    assert api.writes == []
