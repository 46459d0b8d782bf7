"""A load that cannot start says why, soon, and leaves nothing behind."""

from __future__ import annotations

import time

import pytest

from tasks.base.errors import PreflightError
from tasks.kube.errors import Forbidden
from tasks.load.config import LoadConfig
from tasks.load.kube.run import PodLoad
from tasks.load.kube.start import missing, next_step
from tests.load.kube.kubelet import Act, Kubelet
from tests.load.kube.test_losses import pod
from tests.load.kube.test_watchman import CREW

SETTINGS = LoadConfig.model_validate({"users": {"shape": "constant", "users": 4}, "place": "pods", "workers": 2})


def start(place, tmp_path):
    """Start the load."""
    return PodLoad.start(SETTINGS, place=place, host="http://front-end.shop.svc", seed=1, out=tmp_path / "load")


def left(api):
    """What is in the namespace."""
    return [one["metadata"]["name"] for kind in ("Job", "Pod", "Service", "ConfigMap") for one in api.all(kind, "shop")]


def test_it_begins_when_all_workers_have_begun_and_goes_without_a_trace(api, place, tmp_path):
    """Who comes later learns from the ConfigMap when it began; stopped, it is gone, and stopping again changes nothing."""
    with Kubelet(api, "shop", Act.casting(2)):
        load = start(place, tmp_path)
        told = api.object("ConfigMap", f"{load.crew.name}-plan", "shop")["data"]["plan.json"]
        began, status = load.origin_wall_s, load.status()
        first, second = load.stop(), load.stop()

    assert f'"origin_wall_s":{began}' in told
    assert (status.alive, status.finished, status.second, load.keep()) == (True, False, None, None)
    assert (first.finished, first.alive, second, load.left, left(api)) == (True, False, first, [], [])


def test_a_pod_that_will_never_start_ends_the_wait(api, place, tmp_path):
    """In seconds, in the cluster's own words."""
    begun_s = time.monotonic()
    waiting = {"reason": "ErrImagePull", "message": "tidegauge.local/locust: not found"}
    with (
        Kubelet(api, "shop", Act.casting(2), waiting=waiting),
        pytest.raises(PreflightError, match=r"ErrImagePull: tidegauge\.local/locust"),
    ):
        start(place, tmp_path)

    assert time.monotonic() - begun_s < 10
    assert left(api) == []


def test_what_cannot_be_removed_is_told(api, place, tmp_path):
    """The API server does not answer any more: it is waited for once, not for each object."""
    with Kubelet(api, "shop", Act.casting(2)):
        load = start(place, tmp_path)
        asked = len(api.asked(method="DELETE"))
        api.fail_next(503, times=100, method="DELETE", retry_after="60")
        load.stop()

    assert len(api.asked(method="DELETE")) == asked + 1
    assert [text.partition(" in shop: ")[0] for text in load.left] == [
        *(f"job/{load.crew.name}-workers", f"job/{load.crew.name}-master"),
        *[f"pod/{pod['metadata']['name']}" for pod in api.all("Pod", "shop")],
        *(f"service/{load.crew.name}-master", f"configmap/{load.crew.name}-plan"),
    ]


@pytest.mark.parametrize(
    ("why", "step"),
    [
        ("w: ErrImagePull: not found", "load the image tidegauge.local/locust:1 into the cluster, or name another with load.image"),
        ("workers may not make a pod: exceeded quota: small", "ask for fewer workers, or for a larger ResourceQuota"),
        ("after 120 s 1 of 2 workers have not begun (w: Unschedulable: 0/1 nodes)", "make room on a node, or ask for fewer workers"),
        ("w: CrashLoopBackOff: back-off 10s", "kubectl --namespace shop describe pods --selector tidegauge.dev/load=load-1a2b3c"),
    ],
)
def test_each_reason_has_a_next_step(why, step):
    """What to type, or what to change."""
    assert next_step(why, CREW) == step


def test_jobs_that_may_not_make_pods_say_so(api, place, tmp_path, monkeypatch):
    """A quota: nothing comes, and the Job's events know why."""
    monkeypatch.setattr("tasks.load.kube.start.NONE_S", 0.3)

    def refuse(item):
        if item["kind"] == "Job" and item["metadata"]["name"].endswith("workers"):
            event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "refused", "namespace": "shop"}, "reason": "FailedCreate"}
            about = {"kind": "Job", "name": item["metadata"]["name"], "namespace": "shop"}
            api.put({**event, "involvedObject": about, "message": "exceeded quota: small, requested: limits.cpu=1"})

    api.control(refuse)

    with pytest.raises(PreflightError, match=r"load-\w+-workers may not make a pod: exceeded quota: small") as caught:
        start(place, tmp_path)

    assert "ResourceQuota" in caught.value.next_step
    assert left(api) == []


def test_an_api_server_that_says_no_is_heard(api, place, tmp_path):
    """No right to make a Job: what was made before it goes."""
    api.fail_next(403, path="/jobs", method="PATCH", message="jobs.batch is forbidden")

    with pytest.raises(Forbidden, match="forbidden"):
        start(place, tmp_path)

    assert left(api) == []


def test_a_wait_that_was_too_long_names_who_is_missing(api, place, tmp_path, monkeypatch):
    """Nobody came at all."""
    monkeypatch.setattr("tasks.load.kube.start.READY_S", 0.3)

    with pytest.raises(PreflightError, match="after 0 s 2 of 2 workers have not begun"):
        start(place, tmp_path)

    assert left(api) == []


def test_those_that_wait_say_why():
    """As far as the cluster knows."""
    pods = [pod(name="a"), pod(name="b", begun=False, waiting="Unschedulable: 0/1 nodes are available"), pod(name="c", begun=False)]

    assert missing(pods, {0}, 3) == "2 of 3 workers have not begun (b: Unschedulable: 0/1 nodes are available)"
