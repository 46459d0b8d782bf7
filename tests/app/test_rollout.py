"""Waiting for workloads: a cluster that changes while the clock goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tasks.app.kube.placement import SERVICE_LABEL, Placement
from tasks.app.rollout import Rollout
from tasks.base.errors import PreflightError
from tasks.base.progress import Progress
from tasks.kube.errors import Forbidden

HERE = Placement("shop", "run-1")
WANTED = ({"kind": "Service", "metadata": {"name": "web"}}, {"kind": "Deployment", "metadata": {"name": "web"}})
READY = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
STARTING = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1}
State = tuple[dict[str, Any], dict[str, Any] | None]
"""Status of the Deployment, state of its container."""


@dataclass
class Time:
    """A clock that goes on by sleeping, and by asking a little."""

    now_s: float = 100.0

    def wall_s(self) -> float:
        """Not asked for."""
        return self.now_s

    def monotonic_s(self) -> float:
        """Now."""
        self.now_s += 0.001
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """It becomes later."""
        self.now_s += seconds


@dataclass
class Changing:
    """A cluster with one Deployment, whose state is a function of the time since the beginning."""

    time: Time
    state: Callable[[float], State]
    lines: tuple[bytes, ...] = ()
    mute: bool = False
    label: str = SERVICE_LABEL
    asked: list[str] = field(default_factory=list)

    def items(self, path: str, *, labels: str = "", fields: str = "") -> Iterator[dict[str, Any]]:
        """The objects of the run, as lists show them."""
        self.asked.append(path.rpartition("/")[2])
        status, container = self.state(self.time.now_s - 100.0)
        if path.endswith("/events"):
            if self.mute:
                raise Forbidden("events is forbidden", status=403)
            return iter([])
        assert labels == "app.kubernetes.io/managed-by=tidegauge,tidegauge.dev/run=run-1"
        if path == "/apis/apps/v1/namespaces/shop/deployments":
            return iter([{"metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 1}, "status": status}])
        assert path == "/api/v1/namespaces/shop/pods"
        pod = {"metadata": {"name": "web-1", "labels": {self.label: "web"}}, "status": {"containerStatuses": [container]}}
        return iter([pod] if container else [])

    def log(self, namespace: str, pod: str, container: str) -> Iterator[bytes]:
        """What its container said."""
        assert (namespace, pod, container) == ("shop", "web-1", "web")
        return iter(self.lines)


def waiting(reason: str, message: str, **more: Any) -> dict[str, Any]:
    """A container that waits."""
    return {"name": "web", "image": "i:1", "state": {"waiting": {"reason": reason, "message": message}}, **more}


def rollout(state: Callable[[float], State], **cluster: Any) -> tuple[Rollout, Changing, list[Progress]]:
    """The wait, its cluster, and what it reports."""
    time = Time()
    kube, told = Changing(time, state, **cluster), []
    return Rollout(kube, HERE, WANTED, timeout_s=100, report=told.append, clock=time), kube, told


def refused(state: Callable[[float], State], **cluster: Any) -> tuple[PreflightError, float]:
    """The error, and the seconds until it came."""
    wait, kube, _ = rollout(state, **cluster)
    with pytest.raises(PreflightError) as caught:
        wait.wait()
    return caught.value, kube.time.now_s - 100.0


def test_it_ends_soon_after_everything_is_ready():
    """Within a look's distance; progress is told in workloads."""
    wait, _, told = rollout(lambda now_s: (READY if now_s >= 4 else STARTING, None))

    assert 4 <= wait.wait() < 4.5
    assert [(one.done, one.total, one.unit) for one in (told[0], told[-1])] == [(0, 1, "workloads"), (1, 1, "workloads")]
    assert told[0].text == "web: 0 of 1 ready"


def test_events_are_not_asked_for_while_all_is_well():
    """A healthy start needs two lists a look."""
    wait, kube, _ = rollout(lambda now_s: (READY if now_s >= 2 else STARTING, None))
    wait.wait()

    assert set(kube.asked) == {"deployments", "pods"}


def test_a_wrong_image_ends_the_wait_at_once():
    """With the pod's own words and the next step."""
    error, after_s = refused(lambda _: (STARTING, waiting("ErrImagePull", "docker.io/x: not found")))

    assert after_s < 1
    assert error.message == "web in shop does not get ready: pod web-1/web: ErrImagePull: docker.io/x: not found"
    assert "load-images.md" in (error.next_step or "")
    assert error.details["reason"] == "ErrImagePull"


def test_pods_of_other_parts_of_a_run_are_told_by_their_label_app():
    """A collector in the cluster is no service of the app."""
    error, _ = refused(lambda _: (STARTING, waiting("ErrImagePull", "not found")), label="app")

    assert error.details["reason"] == "ErrImagePull"


def test_of_a_failure_and_its_back_off_the_wordier_is_told():
    """They alternate; it is one trouble, and its time goes on."""
    long = "failed to pull: dial tcp: connect: no route to host"
    error, after_s = refused(
        lambda now_s: (STARTING, waiting("ErrImagePull", long) if now_s < 1 else waiting("ImagePullBackOff", "Back-off"))
    )

    assert long in error.message
    assert 5 <= after_s < 6


def test_a_busy_registry_gets_time():
    """And when it answers in the end, nothing was wrong."""
    wait, _, _ = rollout(lambda now_s: (READY, None) if now_s >= 30 else (STARTING, waiting("ErrImagePull", "toomanyrequests")))

    assert 30 <= wait.wait() < 31


def test_a_trouble_that_ended_is_forgotten():
    """Its patience begins anew with the next one."""

    def state(now_s: float) -> State:
        return (
            (READY, None)
            if now_s >= 12
            else (STARTING, waiting("ErrImagePull", "no route") if now_s % 6 < 4 else waiting("ContainerCreating", ""))
        )

    assert 12 <= rollout(state)[0].wait() < 13


def test_a_crash_comes_with_its_last_lines():
    """The last ten of them."""
    crash = waiting("CrashLoopBackOff", "back-off", restartCount=2, lastState={"terminated": {"reason": "Error", "exitCode": 1}})
    error, _ = refused(lambda _: (STARTING, crash), lines=tuple(b"line %d" % number for number in range(12)))

    assert "CrashLoopBackOff: started 3 times, and each time Error with exit code 1; its last lines:\n    line 2\n" in error.message
    assert error.message.endswith("\n    line 11")
    assert error.details["log"] == [f"line {number}" for number in range(2, 12)]


def test_what_takes_too_long_is_told_with_how_far_it_is():
    """Also where events may not be seen."""
    error, after_s = refused(lambda _: (STARTING, waiting("ContainerCreating", "")), mute=True)

    assert 100 <= after_s < 106
    assert error.message.startswith("after 100 s not ready in shop: web (0 of 1 ready)")


def test_a_workload_that_is_not_there_is_waited_for():
    """It was applied: somebody took it away."""
    time = Time()

    class Empty(Changing):
        def items(self, path: str, *, labels: str = "", fields: str = "") -> Iterator[dict[str, Any]]:
            return iter([])

    with pytest.raises(PreflightError, match=r"web \(not there\)"):
        Rollout(Empty(time, lambda _: (READY, None)), HERE, WANTED, timeout_s=3, clock=time).wait()


def test_nothing_to_wait_for():
    """An app of settings alone is ready."""
    time = Time()

    assert Rollout(Changing(time, lambda _: (READY, None)), HERE, WANTED[:1], timeout_s=3, clock=time).wait() < 1
