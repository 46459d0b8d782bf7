"""A target that is a StatefulSet: the same faults, but for those from which it would not recover as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import PreflightError
from tasks.faults.kube.guard_job import GuardPlan, account
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.rights import WORKLOADS, rights_of
from tasks.faults.kube.target import Target, at_rest, owned
from tasks.kube.rights import role_text, roles
from tests.faults.kube.test_injector import ended
from tests.faults.kube.town import NAMESPACE, Town, stateful

CLAIMS = {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}
LOSES = {**CLAIMS, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Delete"}}


def with_stateful(town: Town, replicas: int = 1, **spec: Any) -> Town:
    """*town*, its target put there as a StatefulSet."""
    for kind in ("Deployment", "StatefulSet"):
        if town.api.object(kind, "carts", NAMESPACE):
            town.api.remove(kind, "carts", NAMESPACE)
    for pod in town.api.all("Pod", NAMESPACE):
        if pod["metadata"]["labels"].get("app") == "carts":
            town.api.remove("Pod", pod["metadata"]["name"], NAMESPACE)
    town.api.put(stateful("carts", replicas, **spec))
    town.before = town.state()
    return town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An entry that is a Deployment, and a target that is not."""
    with Town.running(tmp_path) as made:
        yield with_stateful(made)


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "wrong_config"])
def test_a_fault_acts_is_undone_and_verified(town: Town, kind: str, placebo: bool):
    """
    Everything is as before, and nothing of ours is there.

    A Role for this kind and StatefulSets grants all that was asked of the server, by us and by the guard.
    """
    granted = rights_of([kind], NAMESPACE, workloads=["statefulsets"])
    town.kube.used.clear()
    town.api.granted = roles("run", granted)
    receipt = ended(town, kind, placebo=placebo)

    assert receipt.verified
    assert town.state() == town.before
    assert town.ours() == []
    assert {replace(one, name="") for one in town.kube.used} <= granted


def test_its_guard_may_change_it_and_nothing_else(town: Town):
    """The Role of an outage names the one StatefulSet, and its scale."""
    decided = town.injector().inject(town.request("service_outage")).ending.plan
    steps = tuple((step, town.kube.path_of(step.ref)) for step in decided.reverts)
    plan = GuardPlan("r1", "t001", NAMESPACE, "x.test/demo:1", steps, 1.0, 1.0)
    (role,) = [one for one in account(plan, "u") if one["kind"] == "Role"]

    assert role["rules"][0]["resources"] == ["statefulsets/scale"], role_text([role])
    assert role["rules"][0]["resourceNames"] == ["carts"]
    assert [one.get("resourceNames") is None for one in role["rules"]] == [False, False]


def test_its_pods_are_known_though_they_keep_their_names(town: Town):
    """One that was killed comes back under its name, and is another one."""
    (before,) = town.found().pods
    fault = town.injector().inject(town.request("pod_kill"))
    (after,) = town.found().pods

    assert before["metadata"]["name"] == after["metadata"]["name"] == "carts-0"
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert fault.revert().verified


REFUSALS = {
    "a configuration from which it does not recover": ({}, "wrong_config", "does not recover by itself from a pod that cannot start"),
    "volumes that an outage would throw away": (LOSES, "service_outage", "its data would be lost"),
    "volumes that a queue would lose": (LOSES, "queue_not_consumed", "its data would be lost"),
    "a volume that would be left": (CLAIMS, "scale_out_in", "that of a further one would be left behind"),
    "rollouts by hand": ({"updateStrategy": {"type": "OnDelete"}}, "rollout", "does not roll out all of its pods by itself"),
    "rollouts in part": (
        {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
        "rollout",
        "does not roll out all of its pods by itself",
    ),
}


@pytest.mark.parametrize("case", list(REFUSALS))
def test_what_would_not_be_as_before_is_refused(town: Town, case: str):
    """Before anything is written."""
    spec, kind, why = REFUSALS[case]
    with_stateful(town, **spec)

    with pytest.raises(PreflightError, match=why):
        town.injector().inject(town.request(kind))
    assert town.api.writes == []


@pytest.mark.parametrize("kind", ["service_outage", "queue_not_consumed", "pod_kill"])
def test_volumes_that_are_kept_are_no_hindrance(town: Town, kind: str):
    """They wait for their pods to come back."""
    with_stateful(town, **CLAIMS)

    assert ended(town, kind).verified


def test_a_strangers_pod_is_told_from_its_own(town: Town):
    """By who controls it, not by its name."""
    (pod,) = town.found().pods
    workload = town.found().workload
    other = {**pod, "metadata": {**pod["metadata"], "ownerReferences": [{"kind": "StatefulSet", "name": "other", "controller": True}]}}

    assert workload is not None
    assert owned(pod, workload)
    assert not owned(other, workload)


def test_it_is_at_rest_without_the_count_that_old_servers_do_not_tell(town: Town):
    """``availableReplicas`` came later than StatefulSets."""
    workload = town.found().workload
    assert workload is not None
    status = {name: value for name, value in workload["status"].items() if name != "availableReplicas"}

    assert at_rest({**workload, "status": status})
    assert not at_rest({**workload, "status": {**status, "updatedReplicas": 0}})


def test_a_target_has_as_many_pods_as_it_asks_for_where_nobody_has_declared_them(town: Town):
    """Three of them, each hit by its own step; one too many of them is still refused."""
    with_stateful(town, 3)
    town.targets = {**town.targets, "carts": Target("carts", None)}
    fault = town.injector().inject(town.request("cpu_starvation"))
    assert {str(step.ref) for step in fault.moves.acts} == {f"pod/carts-{number} in shop" for number in range(3)}
    assert fault.revert().verified

    (pod, *_) = town.found().pods
    town.api.put({**pod, "metadata": {**pod["metadata"], "name": "carts-9", "uid": None, "resourceVersion": None}})
    with pytest.raises(PreflightError, match="3 asked for, 4 found"):
        town.injector().inject(town.request("cpu_starvation", fault="t002"))


def test_rights_are_those_of_what_the_targets_are():
    """An app of Deployments needs none for StatefulSets."""
    own, both = rights_of(["service_outage"], NAMESPACE), rights_of(["service_outage"], NAMESPACE, workloads=WORKLOADS)

    assert [one for one in own if one.resource == "statefulsets"] == []
    assert {(one.verb, one.what) for one in both - own} == {("get", "statefulsets"), ("patch", "statefulsets/scale")}
