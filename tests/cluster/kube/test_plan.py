"""The steps from what is there to what is wanted."""

from __future__ import annotations

from tasks.cluster.kube.manifests import Bounds, prepared
from tasks.cluster.kube.plan import changes, found_of, not_ours, state_of
from tasks.kube.labels import run_labels
from tasks.kube.refs import ObjectRef
from tests.cluster.kube.parts import OTHER, RUN, config_map, deployment, service

KUBELETS = [{"manager": "kubelet", "operation": "Update", "subresource": "status"}]
MANAGED = [{"manager": "tidegauge", "operation": "Apply", "fieldsV1": {}}]


def there(*manifests, **metadata):
    """Objects of the run as the server shows them."""
    made = prepared(manifests, Bounds(RUN, ("shop",)), "app")
    found = [{**one, "metadata": one["metadata"] | {"managedFields": MANAGED, "uid": "u", **metadata}} for one in made]
    return {ObjectRef.of(one): one for one in found}


def steps(wanted, found):
    """Action and name of each step."""
    return [(step.action, step.name) for step in changes(prepared(wanted, Bounds(RUN, ("shop",)), "app"), found)]


def test_what_others_need_is_made_first_and_removed_last():
    """Configuration, Services, workloads; alphabetically among equals."""
    things = [deployment("b"), deployment("a"), service("z"), config_map("c")]

    assert steps(things, {}) == [
        ("create", "configmap/c in shop"),
        ("create", "service/z in shop"),
        ("create", "deployment/a in shop"),
        ("create", "deployment/b in shop"),
    ]
    assert steps([], there(*things)) == [
        ("remove", "deployment/a in shop"),
        ("remove", "deployment/b in shop"),
        ("remove", "service/z in shop"),
        ("remove", "configmap/c in shop"),
    ]


def test_what_fits_is_left_alone():
    """A step for each difference, and a reason."""
    found = there(config_map("a"), config_map("b"), config_map("d"))
    wanted = prepared([config_map("a"), config_map("b", x="2"), config_map("c")], Bounds(RUN, ("shop",)), "app")

    assert [(step.action, step.name, step.why) for step in changes(wanted, found)] == [
        ("replace", "configmap/b in shop", "differs in data.x"),
        ("create", "configmap/c in shop", "not there"),
        ("remove", "configmap/d in shop", "not wanted"),
    ]


def test_what_goes_or_is_nobodys_is_made_anew():
    """An object on its way out, and one that somebody has put in the place of ours."""
    assert [
        step.why
        for step in changes(prepared([config_map("a")], Bounds(RUN, ("shop",)), "app"), there(config_map("a"), deletionTimestamp="x"))
    ] == ["is on its way out"]
    stranger = there(config_map("a"), managedFields=[{"manager": "kubectl", "operation": "Update"}])

    assert steps([config_map("a")], stranger) == [("replace", "configmap/a in shop")]


def test_what_is_not_ours_is_named_with_its_maker():
    """By another run, by helm, or by whoever manages its fields."""
    (found,) = there(config_map("a")).values()
    bare = {
        **found,
        "metadata": {"name": "a", "namespace": "shop", "managedFields": [{"manager": "kubectl-create", "operation": "Update"}]},
    }
    helm = {**found, "metadata": found["metadata"] | {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}

    assert not_ours(found, RUN) is None
    assert not_ours(found, OTHER) == f"configmap/a in shop belongs to run {RUN}"
    assert not_ours(bare, RUN) == "configmap/a in shop is there already, made by kubectl-create"
    assert not_ours(helm, RUN) == "configmap/a in shop is there already, made by Helm"


def test_what_controllers_made_is_not_told_apart():
    """A pod of a Deployment is the Deployment's matter; one that lost its controller is an orphan."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "shop", "labels": run_labels(RUN, "app"), "managedFields": KUBELETS},
    }
    owned = {**pod, "metadata": pod["metadata"] | {"ownerReferences": [{"controller": True, "kind": "ReplicaSet", "name": "r"}]}}

    assert found_of([owned]) == ()
    assert [(one.name, one.state) for one in found_of([pod])] == [("pod/p in shop", "orphaned")]


def test_a_workload_runs_when_it_is_ready():
    """Not before its controller has seen the newest version of it."""
    (one,) = there(deployment("a"), generation=2).values()
    ready = {"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1}

    assert state_of(one) == "waiting"
    assert state_of({**one, "status": ready}) == "running"
    assert state_of({**one, "status": ready | {"observedGeneration": 1}}) == "waiting"
    assert state_of({**one, "status": ready | {"updatedReplicas": 0}}) == "waiting"
