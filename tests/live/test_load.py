"""Load from pods on a real cluster: every request is counted, and a worker that is lost is seen and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.refs import ObjectRef
from tasks.load.config import LoadConfig
from tasks.load.history import LoadHistory, finish, read_history
from tasks.load.kube.api import PodPlace
from tasks.load.kube.run import IMAGE, PodLoad
from tasks.load.status import Restart
from tests.live.conftest import Cluster
from tests.live.context import NAMES
from tests.live.images import read_recipe

pytestmark = [pytest.mark.live, pytest.mark.images(read_recipe().names()["demo"], IMAGE), pytest.mark.timeout(300)]
NOTICED_S = 10.0
USERS = 21
COUNTS = "request_duration_seconds_count"
JOURNEY = {"name": "look", "requests": [{"method": "GET", "path": "/"}, {"method": "GET", "path": "/burn?ms=1"}]}


@dataclass
class Target:
    """A pod that counts what it answers, in a namespace of its own."""

    kube: Kube
    namespace: str

    @property
    def host(self) -> str:
        """As pods see it."""
        return f"http://target.{self.namespace}.svc:80"

    def answered(self) -> int:
        """Requests so far, its own metrics and probes aside."""
        text = self.kube.text(f"/api/v1/namespaces/{self.namespace}/pods/target:80/proxy/metrics")
        return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(COUNTS))

    def left(self) -> list[str]:
        """Objects of a load."""
        paths = [f"/api/v1/namespaces/{self.namespace}/{kind}" for kind in ("pods", "services", "configmaps")]
        paths.append(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")
        found = [one for path in paths for one in self.kube.items(path, labels="tidegauge.dev/part=load")]
        return [one["metadata"]["name"] for one in found]


@pytest.fixture
def target(cluster: Cluster) -> Iterator[Target]:
    """Ready."""
    kube = Kube.connect(KubeAccess(kubeconfig=str(cluster.kubeconfig)))
    found = Target(kube, NAMES.new("load"))
    labels = {"app": "target"}
    metadata = {"name": "target", "namespace": found.namespace, "labels": labels}
    container = {"name": "target", "image": read_recipe().names()["demo"], "imagePullPolicy": "IfNotPresent"}
    probe = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{**container, "readinessProbe": probe}]}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.namespace}})
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": [{"port": 80}]}})
    cluster.kubectl(f"--namespace={found.namespace}", "wait", "pod/target", "--for=condition=Ready", "--timeout=60s")
    yield found
    kube.delete(ObjectRef("v1", "Namespace", None, found.namespace))


@dataclass
class Loads:
    """Starts loads that end with the test."""

    target: Target
    out: Path
    load: PodLoad | None = None

    def start(self, *, duration_s: float | None = None, **changes: Any) -> PodLoad:
        """Two workers, unless *changes* say otherwise; at work when this returns."""
        given = {"users": {"shape": "constant", "users": USERS}, "journeys_per_user_per_s": 1.0, "journeys": [JOURNEY]}
        settings = LoadConfig.model_validate({**given, "place": "pods", "workers": 2, **changes})
        place = PodPlace(self.target.kube, self.target.namespace, "live-1", at_most_s=300.0)
        self.load = PodLoad.start(settings, place=place, host=self.target.host, seed=7, out=self.out, duration_s=duration_s)
        return self.load

    def history(self) -> LoadHistory:
        """Stop, and read what was written."""
        assert self.load is not None
        assert self.load.stop().finished
        finish(self.out)
        return read_history(self.out)


@pytest.fixture
def loads(target: Target, tmp_path: Path) -> Iterator[Loads]:
    """None yet."""
    made = Loads(target, tmp_path / "load")
    yield made
    if made.load is not None:
        made.load.stop(grace_s=0)


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Poll until *condition* holds; its last value."""
    until_s = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until_s:
        time.sleep(0.1)
    return found


def has_worked(load: PodLoad, until_s: float) -> bool:
    """Whether all users were at work in a second that is not before *until_s*, with nobody lost on the way."""
    restart, status = load.keep(), load.status()
    assert restart is None, restart
    return status.second is not None and status.second >= until_s and status.users_present == USERS


def test_what_workers_have_counted_is_what_was_answered(loads, target):
    """
    Twenty seconds, a master and two workers from the product's own image: every request of ours is one that the target answered.

    Where the machine was not too busy to let it, the pace is that of the plan; the node's clock is compared with ours; and nothing is
    left in the cluster.
    """
    load = loads.start()
    assert wait_for(lambda: has_worked(load, load.origin_wall_s + 20))
    history = loads.history()
    whole = history.second < round(load.origin_wall_s) + 20
    fine = whole & ~history.degraded

    assert load.crew.image == IMAGE
    assert int(history.requests.sum()) == target.answered()
    assert (int(whole.sum()), int(fine.sum()) >= 15) == (20, True), history.reasons
    assert history.journeys_started[fine].sum() == pytest.approx(history.journeys_planned[fine].sum(), rel=0.02)
    assert set(history.users_present[fine]) == {USERS}
    assert history.failures.sum() == 0
    offsets = [offset.seconds for offset in load.book.offsets.values()]
    assert [0.0 <= offset < 0.5 for offset in offsets] == [True]
    assert (load.left, target.left()) == ([], [])


@pytest.mark.images(read_recipe().names()["locust"])
def test_any_image_with_locust_will_do_and_a_load_of_a_given_length_ends_by_itself(loads, target):
    """Its code comes with the plan; ``load.address`` goes before the application's own entry; its pods are done when its time is over."""
    plain, address = read_recipe().names()["locust"], f"http://target.{target.namespace}.svc.cluster.local"
    load = loads.start(workers=3, image=plain, address=address, duration_s=4.0)
    assert wait_for(lambda: load.keep() is None and load.status().finished)
    assert wait_for(lambda: all(pod.over and pod.exit_code == 0 for pod in load.roll.pods()), 30)
    history = loads.history()

    assert (load.plan.host, load.crew.image, load.restarts) == (address, plain, [])
    assert int(history.requests.sum()) == target.answered()
    assert history.journeys_completed.sum() == pytest.approx(4 * USERS, rel=0.1)  # four seconds on a machine with other work


def processes_of(uid: str) -> list[int]:
    """Locust's processes in a pod, as the machine that is the node sees them."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if uid in (folder / "cgroup").read_text() and b"locust" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # it has ended meanwhile
                continue
    return found


def lose(load: PodLoad, target: Target, how: str) -> float:
    """Take worker 1 away; when."""
    pod = next(pod for pod in load.roll.pods() if pod.worker == 1)
    lost_s = time.time()
    if how == "deleted":
        target.kube.delete(ObjectRef("v1", "Pod", target.namespace, pod.name), grace_s=0)
    else:
        processes = processes_of(pod.uid)
        assert processes
        for process in processes:
            os.kill(process, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    return lost_s


@pytest.mark.parametrize(("how", "why", "back_s"), [("deleted", "dead", 60.0), ("killed", "dead", 30.0), ("stopped", "hung", 120.0)])
def test_a_lost_worker_is_seen_its_seconds_are_degraded_and_it_comes_back(loads, target, cluster, how, why, back_s, record_property):
    """Seen within ten seconds; what it had counted is kept, but for its last second; when it is back, the load is what was planned."""
    if how != "deleted":
        cluster.require_node()
    load = loads.start()
    assert wait_for(lambda: has_worked(load, load.origin_wall_s + 3))
    lost_s = lose(load, target, how)
    restart: Restart = wait_for(load.keep)
    noticed_s = restart.time_s - lost_s
    assert wait_for(lambda: has_worked(load, restart.time_s + 1), back_s)
    restored_s = time.time() - lost_s
    history, answered = loads.history(), target.answered()
    print(f"{how}: seen after {noticed_s:.1f} s, back after {restored_s:.1f} s")
    record_property("noticed_s", round(noticed_s, 2))
    record_property("restored_s", round(restored_s, 2))

    assert (restart.why, restart.who, noticed_s <= NOTICED_S) == (why, "worker 1 of the load", True)
    without = (history.second >= int(lost_s)) & (history.users_present < USERS) & (history.second < load.status().second)
    reasons = [set(history.reasons[place]) for place in without.nonzero()[0]]
    assert reasons
    assert all("generator-restarted" in one for one in reasons)
    assert not history.degraded[history.second < int(lost_s) - 1].any()
    missed = answered - int(history.requests.sum())
    assert 0 <= missed <= 2 * 2 * (USERS // 2)  # of one worker, in the second that it had not logged yet and the one before
    assert (load.left, target.left()) == ([], [])


def test_a_master_that_is_lost_takes_nothing_away(loads, target):
    """Workers go on by their plan; the next master learns from them how old the load is."""
    load = loads.start()
    assert wait_for(lambda: has_worked(load, load.origin_wall_s + 2))
    master = next(pod for pod in load.roll.pods() if pod.worker is None)
    target.kube.delete(ObjectRef("v1", "Pod", target.namespace, master.name), grace_s=0)
    lost_s = time.time()
    assert wait_for(lambda: has_worked(load, lost_s + 5))
    history = loads.history()

    assert load.restarts == []
    assert not history.degraded[(history.second >= int(lost_s) - 1) & (history.second < lost_s + 5)].any()
    assert int(history.requests.sum()) == target.answered()


def test_an_image_that_is_not_there_is_told_and_nothing_is_left(loads, target):
    """In the cluster's own words, within seconds."""
    begun_s = time.monotonic()

    with pytest.raises(PreflightError, match=r"ErrImagePull|ImagePullBackOff") as caught:
        loads.start(image="tidegauge.test/none:1")

    assert "load.image" in caught.value.next_step
    assert time.monotonic() - begun_s < 40
    assert wait_for(lambda: target.left() == [], 20)
