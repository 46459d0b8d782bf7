"""How far a workload is, and what keeps it: objects in, a condition out."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.app.kube.condition import condition_of


def workload(kind: str = "Deployment", *, wanted: int | None = 1, **status: Any) -> dict[str, Any]:
    """One that its controller has seen."""
    spec = {} if wanted is None else {"replicas": wanted}
    return {"kind": kind, "metadata": {"name": "web", "generation": 2}, "spec": spec, "status": {"observedGeneration": 2, **status}}


def pod(**status: Any) -> dict[str, Any]:
    """One of its pods."""
    return {"metadata": {"name": "web-1"}, "status": status}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A pod whose only container waits."""
    return pod(containerStatuses=[{"name": "web", "image": "i:1", "state": {"waiting": {"reason": reason, "message": message}}, **more}])


def ended(group: str, code: int, restarts: int) -> dict[str, Any]:
    """A pod whose only container has ended, and is not tried again yet."""
    state = {"terminated": {"reason": "Error" if code else "Completed", "exitCode": code}}
    return pod(**{group: [{"name": "web", "image": "i:1", "state": state, "restartCount": restarts}]})


def event(reason: str, kind: str, name: str, message: str) -> dict[str, Any]:
    """What the cluster said about an object."""
    return {"reason": reason, "involvedObject": {"kind": kind, "name": name}, "message": message}


@pytest.mark.parametrize(
    ("one", "ready", "text"),
    [
        (workload(updatedReplicas=1, replicas=1, availableReplicas=1), True, "1 of 1 ready"),
        (workload(updatedReplicas=1, replicas=1), False, "0 of 1 ready"),
        (workload(updatedReplicas=1, replicas=2, availableReplicas=2), False, "1 old to end"),
        (workload(wanted=3, updatedReplicas=1), False, "1 of 3 made"),
        (workload(wanted=None), False, "0 of 1 made"),
        (workload(wanted=0), True, "0 of 0 ready"),
        (workload(observedGeneration=1, updatedReplicas=1, replicas=1, availableReplicas=1), False, "not seen by its controller yet"),
        (workload("StatefulSet", wanted=2, replicas=2, updatedReplicas=2, readyReplicas=2), True, "2 of 2 ready"),
        (workload("StatefulSet", wanted=2, replicas=2, updatedReplicas=2, readyReplicas=1), False, "1 of 2 ready"),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3), True, "3 of 3 ready"),
        (workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2), False, "2 of 3 ready"),
        ({"kind": "Deployment", "metadata": {"name": "web", "generation": 1}}, False, "not seen by its controller yet"),
    ],
)
def test_ready_is_what_kubectl_means_by_it(one, ready, text):
    """The controller has seen the last change, all pods are of it, none of an older one is left, and they are available."""
    found = condition_of(one, [], [])

    assert (found.ready, found.text) == (ready, text)


@pytest.mark.parametrize(
    ("given", "reason", "patience_s", "about"),
    [
        (waiting("ErrImagePull", "manifest unknown"), "ErrImagePull", 0, "pod web-1/web"),
        (waiting("ErrImagePull", "pull access denied"), "ErrImagePull", 0, "pod web-1/web"),
        (waiting("ErrImagePull", "dial tcp: connect: no route to host"), "ErrImagePull", 5, "pod web-1/web"),
        (waiting("ErrImagePull", "toomanyrequests: slow down"), "ErrImagePull", 60, "pod web-1/web"),
        (waiting("ImagePullBackOff", "Back-off pulling image"), "ImagePullBackOff", 5, "pod web-1/web"),
        (waiting("InvalidImageName", "couldn't parse image name"), "InvalidImageName", 0, "pod web-1/web"),
        (waiting("ErrImageNeverPull", "not present with pull policy of Never"), "ErrImageNeverPull", 0, "pod web-1/web"),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), "CreateContainerConfigError", 10, "pod web-1/web"),
        (waiting("CrashLoopBackOff", "back-off 20s", restartCount=2), "CrashLoopBackOff", 0, "pod web-1/web"),
        (ended("initContainerStatuses", 4, restarts=2), "CrashLoopBackOff", 0, "pod web-1/web"),
        (ended("containerStatuses", 1, restarts=3), "CrashLoopBackOff", 0, "pod web-1/web"),
        (waiting("RunContainerError", "no such file"), "RunContainerError", 10, "pod web-1/web"),
        (
            waiting(
                "CrashLoopBackOff",
                "x",
                lastState={"terminated": {"reason": "StartError", "message": 'exec: "nope": executable file not found'}},
            ),
            "StartError",
            0,
            "pod web-1/web",
        ),
        (
            waiting(
                "CrashLoopBackOff", "x", lastState={"terminated": {"reason": "StartError", "message": "lstat /proc/1/ns/ipc: no such file"}}
            ),
            "StartError",
            30,
            "pod web-1/web",
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]),
            "Unschedulable",
            15,
            "pod web-1",
        ),
        (pod(phase="Failed", reason="Evicted", message="low on memory"), "Evicted", 30, "pod web-1"),
    ],
)
def test_the_pods_own_reason_is_told(given, reason, patience_s, about):
    """With what it may still become: a busy registry gets time, a name that cannot be read none."""
    (trouble,) = condition_of(workload(updatedReplicas=1, replicas=1), [given], []).troubles

    assert (trouble.reason, trouble.patience_s, trouble.about) == (reason, patience_s, about)
    assert trouble.message
    assert trouble.next_step


@pytest.mark.parametrize(
    "given",
    [
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        waiting("CrashLoopBackOff", "back-off 10s", restartCount=1),
        {**waiting("ErrImagePull", "denied"), "metadata": {"name": "web-1", "deletionTimestamp": "2026-11-26T15:00:00Z"}},
        pod(conditions=[{"type": "PodScheduled", "status": "True"}]),
        ended("initContainerStatuses", 0, restarts=3),
        ended("initContainerStatuses", 4, restarts=1),
    ],
)
def test_what_is_on_its_way_is_no_trouble(given):
    """A first crash may only have come too early; a pod that ends is nobody's concern any more."""
    assert condition_of(workload(updatedReplicas=1, replicas=1), [given], []).troubles == ()


def test_a_ready_workload_has_no_trouble():
    """Whatever a left-over pod says."""
    one = workload(updatedReplicas=1, replicas=1, availableReplicas=1)

    assert condition_of(one, [waiting("ErrImagePull", "denied")], []).troubles == ()


def test_a_container_of_the_beginning_counts_too():
    """An init container that cannot start keeps the pod from starting at all."""
    given = pod(initContainerStatuses=[{"name": "seed", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}])

    assert condition_of(workload(), [given], []).troubles[0].about == "pod web-1/seed"


def test_a_crash_tells_how_it_ended_and_whose_log_to_read():
    """Out of memory is another matter than a mistake of the program."""
    last = {"reason": "OOMKilled", "exitCode": 137}
    (trouble,) = condition_of(workload(), [waiting("CrashLoopBackOff", "x", restartCount=4, lastState={"terminated": last})], []).troubles

    assert trouble.message == "started 5 times, and each time OOMKilled with exit code 137"
    assert "memory_limit_bytes" in trouble.next_step
    assert trouble.log_of == ("web-1", "web")


def test_what_to_type_works_wherever_one_is():
    """The namespace is said: it is rarely the one of the user's context."""
    given = {**ended("initContainerStatuses", 4, restarts=2), "metadata": {"name": "web-1", "namespace": "shop"}}
    (trouble,) = condition_of(workload(), [given], []).troubles

    assert trouble.next_step == "see `kubectl --namespace shop logs web-1 --container web --previous`"
    assert trouble.message == "started 3 times, and each time Error with exit code 4"


def test_a_quota_is_told_by_the_deployment():
    """There is no pod that could tell it."""
    said = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "forbidden: exceeded quota: small"}
    (trouble,) = condition_of(workload(conditions=[said]), [], []).troubles

    assert (trouble.about, trouble.reason) == ("deployment web", "FailedCreate")
    assert "ResourceQuota" in trouble.next_step


def test_a_quota_is_told_by_events_where_there_is_no_condition():
    """A StatefulSet has none; events about others are not taken for its own."""
    events = [event("FailedCreate", "StatefulSet", name, f"{name}: exceeded quota") for name in ("other", "web")]
    (trouble,) = condition_of(workload("StatefulSet"), [], events).troubles

    assert trouble.message == "web: exceeded quota"


def test_a_missing_volume_is_told_by_events():
    """The pod itself only says that it is being created."""
    events = [event("FailedMount", "Pod", "web-1", 'configmap "x" not found'), event("FailedMount", "Pod", "web-2", "other")]
    (trouble,) = condition_of(workload(), [waiting("ContainerCreating")], events).troubles

    assert (trouble.reason, trouble.message, trouble.patience_s) == ("FailedMount", 'configmap "x" not found', 30)


def test_a_cluster_that_grows_gets_time():
    """Its autoscaler has said that a node is coming."""
    given = pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}])
    (trouble,) = condition_of(workload(), [given], [event("TriggeredScaleUp", "Pod", "web-1", "+1")]).troubles

    assert trouble.patience_s == 900


def test_the_deadline_of_a_deployment_is_believed():
    """Whoever wrote the manifest said how long it may take."""
    said = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out progressing."}
    (trouble,) = condition_of(workload(conditions=[said]), [], []).troubles

    assert (trouble.reason, trouble.patience_s) == ("ProgressDeadlineExceeded", 0)
