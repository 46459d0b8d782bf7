"""Pods and workloads as the API shows them."""

from __future__ import annotations

import pytest

from tasks.telemetry.kube.pods import PART, SERVICE, observed, owner_of, page_of, pod_view
from tasks.telemetry.kube.state import pod_state, workload_state
from tasks.telemetry.kube.workloads import workload_view
from tests.telemetry.kube.saved import pod, saved


def test_a_running_pod():
    """Whose it is, how it is, and where its page is."""
    view = pod_view(pod())

    assert (view.workload, view.kind, view.node, view.phase, view.ready, view.leaving) == (
        "front",
        "Deployment",
        "node1",
        "Running",
        True,
        False,
    )
    assert view.page == "80/metrics"
    assert view.created_s == 1_795_705_696.0
    (container,) = view.containers
    assert (container.name, container.running, container.restarts, container.ended) == ("front", True, 0, None)
    assert (container.cpu_limit, container.memory_limit) == (0.3, 120 * 2**20)
    assert container.image.startswith("sha256:")


def test_a_pod_whose_image_is_not_there():
    """It waits, for a reason; nothing runs in it."""
    view = pod_view(saved("pod-waiting")[0])

    assert (view.phase, view.ready, view.running) == ("Pending", False, False)
    assert view.containers[0].waiting == "ErrImageNeverPull"
    told = {(one.name, *sorted(one.labels.items())): one.value for one in pod_state(view)}
    assert told["kube_pod_container_status_waiting_reason", ("container", "front"), ("reason", "ErrImageNeverPull")] == 1.0
    assert told["kube_pod_status_phase", ("phase", "Pending")] == 1.0
    assert told["kube_pod_status_phase", ("phase", "Running")] == 0.0


def test_a_container_that_was_killed_says_why():
    """Also when it runs again, by its last state."""
    value = pod()
    value["status"]["containerStatuses"][0] |= {"restartCount": 2, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}

    told = {(one.name, one.labels.get("reason")): one.value for one in pod_state(pod_view(value))}

    assert told["kube_pod_container_status_restarts_total", None] == 2.0
    assert told["kube_pod_container_status_last_terminated_reason", "OOMKilled"] == 1.0


def test_a_resize_is_seen_in_the_limits():
    """The status says what really holds; the specification what is asked for."""
    value = pod()
    value["status"]["containerStatuses"][0]["resources"]["limits"]["cpu"] = "30m"

    assert pod_view(value).containers[0].cpu_limit == pytest.approx(0.03)


def test_tools_in_a_pod_are_no_part_of_the_app():
    """Ephemeral containers and those that only prepare are left out; a sidecar that starts first is in."""
    value = pod()
    value["spec"]["initContainers"] = [{"name": "prepare"}, {"name": "mesh", "restartPolicy": "Always"}]
    value["spec"]["ephemeralContainers"] = [{"name": "debugger"}]

    assert [one.name for one in pod_view(value).containers] == ["mesh", "front"]


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (("ReplicaSet", "orders-7c9d8f6b5"), {"pod-template-hash": "7c9d8f6b5"}, ("Deployment", "orders")),
        (("ReplicaSet", "orders"), {}, ("ReplicaSet", "orders")),
        (("StatefulSet", "orders-db"), {"app": "db"}, ("StatefulSet", "orders-db")),
        (("DaemonSet", "agent"), {}, ("DaemonSet", "agent")),
        (("Job", "fill-1"), {}, ("Job", "fill-1")),
        (("Node", "node1"), {}, ("Pod", "p")),
        (None, {"app": "orders"}, ("Pod", "orders")),
        (None, {}, ("Pod", "p")),
        (("StatefulSet", "release-db-0f"), {SERVICE: "orders-db"}, ("StatefulSet", "orders-db")),
    ],
)
def test_the_workload_of_a_pod(owner, labels, expected):
    """By our own label, its owner, or the label ``app``; never by the pod's name while it has an owner."""
    metadata = {"name": "p", "labels": labels}
    if owner is not None:
        metadata["ownerReferences"] = [{"kind": "Other", "name": "x"}, {"kind": owner[0], "name": owner[1], "controller": True}]

    assert owner_of(metadata) == expected


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("80", "80/metrics"),
        ("80/", "80/metrics"),
        ("9090/prometheus", "9090/prometheus"),
        ("1/a?b=c", "1/a?b=c"),
        ("http/metrics", None),
        ("0/m", None),
        ("99999999/m", None),
        ("80/a b", None),
        ("80/a\r\nX: y", None),
        ("", None),
        ("80:81/m", None),
    ],
)
def test_a_page_is_a_port_and_a_path(text, page):
    """It comes from whoever wrote the app: nothing in it may lead elsewhere."""
    assert page_of(text) == page


@pytest.mark.parametrize("scrape", ["false", "", "yes", None])
def test_a_pod_that_does_not_ask_to_be_scraped_is_not(scrape):
    """Only ``true`` is yes."""
    value = pod()
    value["metadata"]["annotations"]["prometheus.io/scrape"] = scrape

    assert pod_view(value).page is None


def test_what_is_ours_is_not_observed():
    """Load, telemetry and fault pods are no part of the app; unlabelled pods are."""
    assert [observed({"labels": {PART: part}}) for part in ("app", "load", "telemetry", "fault")] == [True, False, False, False]
    assert observed({})


@pytest.mark.parametrize("value", [{}, {"metadata": {}}, {"metadata": None}, {"metadata": {"uid": "u", "name": "n"}, "spec": []}, 3, []])
def test_what_is_no_pod_is_told_so(value):
    """By one kind of error."""
    with pytest.raises(ValueError, match="not a pod"):
        pod_view({**value, "spec": 3} if isinstance(value, dict) and value.get("spec") == [] else value)


def test_a_deployment_and_a_stateful_set():
    """Replicas and generations, under the names of kube-state-metrics."""
    front, store = workload_view("Deployment", saved("deployments")[0]), workload_view("StatefulSet", saved("statefulsets")[0])

    assert (front.name, front.wanted, front.available, front.unavailable) == ("front", 2, 2, 0)
    assert (store.name, store.wanted, store.available) == ("store", 1, 1)
    assert front.images == ("tidegauge.test/demo:1",)
    assert {one.name: one.value for one in workload_state(front)}["kube_deployment_status_replicas_available"] == 2.0
    assert {one.name: one.value for one in workload_state(store)}["kube_statefulset_replicas"] == 1.0


def test_replicas_that_are_not_there_are_none():
    """A status without counts, as the API leaves zeros out; a specification without replicas wants one."""
    view = workload_view("StatefulSet", {"metadata": {"name": "a"}, "spec": {}, "status": {}})

    assert (view.wanted, view.available, view.unavailable) == (1, 0, 1)
