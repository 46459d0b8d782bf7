"""The rights of one document: those of its parts and no others, and all of them in what is shipped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.cluster_plan import parts_of
from flows.document import load_document
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.base.shipped import shipped
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.holding import Door, Held, take
from tasks.cluster.kube.kinds import OURS
from tasks.cluster.kube.lease import Holder
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.faults.kube.guard_job import GuardPlan, account, job
from tasks.faults.kube.kinds import KINDS as FAULTS
from tasks.faults.kube.rights import GUARDS, by_mesh, made_by, on_nodes, rights_of
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.permission import Permission
from tasks.kube.rights import granted, roles, without_names
from tasks.load.config import LoadConfig
from tasks.load.journey import shipped_folders
from tasks.load.kube.objects import objects_of
from tasks.load.kube.rights import MADE
from tasks.recordings.kube.rights import Parts, kinds_of, needs_of, targets_of
from tasks.telemetry.config import DeployedPrometheus, KubeletSource, PrometheusSource, TelemetryConfig
from tests.cluster.kube.parts import RUN, QuickClock, config_map, deployment
from tests.kube.fake_api import FakeApi

CLUSTER = KubeconfigCluster(provider="kubeconfig", namespace="tidegauge", create_namespace=False)
LOAD = LoadConfig.model_validate({"users": {"shape": "constant", "users": 2}, "place": "pods"})
HERE = LOAD.model_copy(update={"place": "here", "address": "http://127.0.0.1:8080"})
QUIET = TelemetryConfig(sources=(KubeletSource(kind="kubelet", containers="none"),))
KUBELETS = TelemetryConfig(sources=(KubeletSource(kind="kubelet"),))
SHIPPED = [path.name for path in sorted(shipped("").glob("*.yaml")) if "provider: kubeconfig" in path.read_text()]
FIRST = Parts(CLUSTER, OURS, HERE, QUIET, ())


def asked(parts: Parts) -> set[str]:
    """What *parts* cannot do without."""
    return {str(need.permission) for need in needs_of(parts) if not need.optional}


def rbac(*names: str) -> list[dict[str, object]]:
    """The Roles of shipped documents."""
    found = (one for name in names for one in YAML(typ="safe", pure=True).load_all(shipped(f"rbac/{name}.yaml").read_text()))
    return [one for one in found if "rules" in one]


def of_document(name: str) -> Parts:
    """The parts of a shipped document."""
    document = load_document(shipped(name))
    app = manifests_of(app_of(document.app), Placement(document.cluster.namespace, "run-1"))
    return parts_of(document, document.cluster, app)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_shipped_document_needs_is_in_the_shipped_roles(name):
    """The Role of every run, and the documents that its opt-ins name: whoever applies them is not refused."""
    parts = of_document(name)
    needed = [need for need in needs_of(parts) if not need.optional]
    documents = {str(need.document) for need in needed}

    assert documents == {"run", *(["nodes-proxy"] if parts.cluster.node_proxy else [])}
    assert [str(need.permission) for need in needed if not granted(need.permission, rbac(*documents))] == []


@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_fault_needs_is_in_the_shipped_role(kind):
    """Each kind by itself, the privileged pods among them: what lets those in is no right but a label of the namespace."""
    needed = asked(replace(FIRST, faults=(kind,)))

    assert {str(one) for one in rights_of([kind], "tidegauge")} <= needed
    assert [one for one in needs_of(replace(FIRST, faults=(kind,))) if not one.optional and not granted(one.permission, rbac("run"))] == []


def test_an_app_with_statefulsets_asks_for_faults_on_them():
    """And one without does not."""
    scale = "patch statefulsets.apps/scale in tidegauge"
    stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}}
    outage = replace(FIRST, faults=("service_outage",))

    assert scale not in asked(outage)
    assert scale in asked(replace(outage, kinds=kinds_of([stateful])))
    assert granted(Permission("patch", "apps", "statefulsets", "scale", "tidegauge"), rbac("run"))


def test_only_what_the_document_does_is_asked_for():
    """A shell in containers, the resize of pods, Jobs, logs and the kubelets: each for the part that uses it, and for no other."""
    bare = replace(FIRST, kinds=kinds_of([config_map("c")]))
    alone = asked(bare)
    shell, resize, kubelets = "get pods/exec in tidegauge", "patch pods/resize in tidegauge", "get nodes/proxy in all namespaces"
    jobs, services = "create jobs.batch in tidegauge", "create services in tidegauge"

    assert alone & {shell, resize, kubelets, jobs, services, "create pods in tidegauge"} == set()
    assert asked(replace(bare, faults=("cpu_hog",))) - alone >= {shell}
    assert resize in asked(replace(bare, faults=("cpu_starvation",))) - asked(replace(bare, faults=("pod_kill",)))
    assert jobs not in asked(replace(bare, faults=("pod_kill", "memory_leak")))
    assert jobs in asked(replace(bare, faults=("service_outage",)))
    assert {jobs, services, "create pods in tidegauge"} <= asked(replace(bare, load=LOAD))
    assert asked(replace(bare, telemetry=KUBELETS)) - alone == {kubelets}
    assert asked(replace(bare, cluster=CLUSTER.model_copy(update={"node_proxy": True}))) - alone == {kubelets}


def test_a_target_that_is_a_stateful_set_is_changed_as_one():
    """By the objects of the app; the shipped Role cannot make a StatefulSet, and it is said that none can."""
    stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}}
    targets = targets_of([("rollout", "db"), ("pod_kill", "web")], [stateful, deployment("web")])
    parts = replace(FIRST, kinds=kinds_of([stateful, deployment("web")]), faults=("rollout",), targets=targets)
    needed = {str(need.permission): need.document for need in needs_of(parts)}

    assert targets == {"rollout": ("statefulsets",), "pod_kill": ("deployments",)}
    assert needed["patch statefulsets.apps in tidegauge"] == needed["patch deployments.apps in tidegauge"] == "run"
    assert needed["create statefulsets.apps in tidegauge"] is None
    assert "patch statefulsets.apps/scale in tidegauge" not in needed


def test_what_chaos_mesh_does_needs_no_shell(api, tmp_path):
    """Where it is installed and the login may use it; otherwise the fault goes our own way, with other rights."""
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))))
    assert by_mesh(kube, ["cpu_hog", "rollout"], "tidegauge") == frozenset()

    api.add_kind("chaos-mesh.org/v1alpha1", "StressChaos", plural="stresschaos")
    assert by_mesh(kube, ["cpu_hog", "rollout"], "tidegauge") == {"cpu_hog"}
    meshed = asked(replace(FIRST, faults=("cpu_hog",), mesh=frozenset({"cpu_hog"})))
    assert {"create stresschaos.chaos-mesh.org in tidegauge", "create jobs.batch in tidegauge"} <= meshed
    assert not any("pods/exec" in one for one in meshed)

    api.granted = roles("run", rights_of(["cpu_hog"], "tidegauge"))
    assert by_mesh(kube, ["cpu_hog"], "tidegauge") == frozenset()


def test_a_right_that_one_part_wants_and_another_needs_is_needed():
    """Logs explain why a pod does not start; the load is counted by them."""
    logs = Permission("get", "", "pods", "log", "tidegauge")

    assert [need.optional for need in needs_of(FIRST) if need.permission == logs] == [True]
    assert [need.optional for need in needs_of(replace(FIRST, load=LOAD)) if need.permission == logs] == [False]


def test_a_prometheus_that_is_put_there_needs_its_own_rights_to_give_them_away():
    """Objects in its namespace, and two for the whole cluster where it asks the kubelets."""
    source = PrometheusSource(kind="prometheus", deploy=DeployedPrometheus(namespace="monitoring"))
    away = source.model_copy(update={"deploy": DeployedPrometheus(namespace="monitoring", cadvisor="none")})
    both = replace(FIRST, telemetry=TelemetryConfig(sources=(source,)))
    found = asked(both)

    assert {"create deployments.apps in monitoring", "list jobs.batch in monitoring", "get namespaces monitoring in monitoring"} <= found
    assert {"create clusterroles.rbac.authorization.k8s.io in all namespaces", "get nodes/proxy in all namespaces"} <= found
    assert both.namespaces == ("tidegauge", "monitoring")
    assert not any("all namespaces" in one for one in asked(replace(FIRST, telemetry=TelemetryConfig(sources=(away,)))))
    assert {need.document for need in needs_of(both) if need.permission.namespace == "monitoring"} == {"prometheus"}


@pytest.fixture
def api():
    """A server with the namespace of the shipped documents."""
    with FakeApi(namespaces=("tidegauge",)) as running:
        yield running


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_run_makes_can_be_made_and_removed_with_these_rights_alone(api, tmp_path, name):
    """Its app, its load, the guard of a fault; whatever else is asked for is answered 403."""
    parts = of_document(name)
    needed = [need.permission for need in needs_of(parts) if not need.optional]
    api.granted = roles("run", needed)
    kube, clock = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=QuickClock()), QuickClock()
    where = Placement("tidegauge", RUN)
    app = manifests_of(app_of(load_document(shipped(name)).app), where)
    load = objects_of(parts.load, "tidegauge", RUN, host="http://front-end:80", folders=shipped_folders())
    provider = KubeProvider(kube, Bounds(RUN, ("tidegauge",)), patience_s=1.0, clock=clock)
    held = Held(door := Door(kube, "tidegauge", Holder(RUN), 60, clock), take(door))
    for change in provider.plan(app):
        provider.apply(change)
    for one in load:
        kube.apply(one)
    guard = GuardPlan(RUN, "t001", "tidegauge", "guard:1", (), 60.0, 60.0)
    uid = kube.create(job(guard))["metadata"]["uid"]
    for one in account(guard, uid):
        kube.create(one)
    made = Counter(one["kind"] for one in (*load, job(guard), *account(guard, uid)))
    left = provider.down()
    held.give_back()

    assert left == ()
    assert made == Counter(MADE) + Counter(GUARDS)
    assert [str(one) for one in without_names(kube.used) - set(without_names(needed))] == []


def test_which_faults_start_pods_on_nodes_is_known():
    """Those whose document has to say ``node_helper``; a guard goes with each but those that end by themselves."""
    assert on_nodes(FAULTS) == ("latency", "loss", "partition", "pause", "reset")
    assert made_by("pause") == {**GUARDS, "Pod": 1}
    assert made_by("pod_kill") == made_by("no such kind") == {}


def test_a_network_fault_without_the_helper_is_refused_with_the_document(tmp_path):
    """Not after the training has been recorded."""
    path = Path(tmp_path / "ladder.yaml")
    path.write_text(shipped("kubernetes-ladder.yaml").read_text().replace("node_helper: true ", "node_helper: false"))

    with pytest.raises(Exception, match=r"latency starts a privileged pod .* set cluster.node_helper: true"):
        load_document(path)
