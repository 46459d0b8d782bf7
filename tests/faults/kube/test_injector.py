"""
Faults in a cluster, on a fake API server: refused before anything is written, guarded before anything acts, undone whatever fails.

What a fault does to a real cluster is seen in ``tests/live/test_faults.py``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import DocumentError, FaultActiveError, PreflightError, TidegaugeError
from tasks.faults.injector import revert_all as local_revert_all
from tasks.faults.journal import Journal
from tasks.faults.kube.injector import revert_all
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.rights import rights_of
from tasks.faults.kube.target import Target
from tests.faults.kube.town import NAMESPACE, RUN, Killed, Mortal, Town, deployment, line

GUARDED = [name for name, kind in KINDS.items() if kind.need != "script" and name != "pod_kill"]
IN_HOGS = [name for name, kind in KINDS.items() if kind.need == "script"]


def ended(town: Town, kind: str, **how: Any):
    """Inject, let the scripts end by themselves when their time is over, and wait; the receipt."""
    fault = town.injector().inject(town.request(kind, **how))
    until_s = town.clock.now_s + fault.request.duration_s

    def look() -> bool:
        if town.clock.now_s >= until_s:
            town.swept.set()
        return False

    return fault.wait(look)


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_acts_is_undone_and_verified(town: Town, kind: str, placebo: bool):
    """
    Real or pretended: everything is as before, nothing of ours is there, and the proof lies beside the journal.

    No more was asked of the server than a Role for this kind grants.
    """
    town.kube.used.clear()
    receipt = ended(town, kind, placebo=placebo)

    assert receipt.verified
    assert receipt.acknowledged is not None
    assert receipt.reverted is not None
    assert 2.5 < receipt.reverted - receipt.acknowledged < 8
    assert town.state() == town.before
    assert town.ours() == []
    proof = json.loads((town.folder / "journal" / "t001.proof.json").read_text())
    assert proof["differences"] == []
    assert proof["before"]
    assert {replace(one, name="") for one in town.kube.used} <= rights_of([kind], NAMESPACE)
    entry = Journal(town.folder).entry("t001")
    assert entry is not None
    assert list(entry.events) == [
        "planned",
        *(["armed"] if kind in GUARDED else []),
        *("acting", "acknowledged", "revert_requested", "reverted", "verified"),
    ]


@pytest.mark.parametrize("kind", ["service_outage", "scale_out_in", "pod_kill", "cpu_starvation", "cpu_hog", "latency"])
def test_every_pod_of_a_target_is_hit_and_none_besides(town: Town, kind: str):
    """Two of them: each gets its own step, the shares are those of both, and both are as before."""
    town.targets = {**town.targets, "carts": Target("carts", 2)}
    town.api.put(deployment("carts", 2))
    town.before = town.state()
    fault = town.injector().inject(town.request(kind, intensity=0.5))

    steps = {"service_outage": 1, "scale_out_in": 1, "pod_kill": 1}.get(kind, 2)
    assert len(fault.moves.acts) == steps
    assert len({step.ref for step in fault.moves.acts}) == steps
    assert len(town.found().pods) == {"service_outage": 1, "scale_out_in": 3}.get(kind, 2)
    assert fault.revert().verified
    assert town.state() == town.before
    assert town.ours() == []


@pytest.mark.parametrize("kind", ["service_outage", "cpu_starvation", "latency"])
def test_nothing_acts_before_the_guard_counts(town: Town, kind: str):
    """A guard that does not start: nothing of the app was ever written, why is said, and what was made is gone."""
    town.guards = "ErrImagePull"
    with pytest.raises(TidegaugeError, match=r"was not armed.*ErrImagePull: it is not there"):
        town.injector().inject(town.request(kind))

    named = ("/jobs", "/serviceaccounts", "/roles", "/rolebindings")
    assert [seen.path for seen in town.api.writes if not any(name in seen.path for name in named)] == []
    assert town.ours() == []
    assert town.injector().open_faults() == ()


@pytest.mark.parametrize(("guards", "why"), [("never", "its Job makes no pod"), ("silent", "it said nothing within 60 s")])
def test_a_guard_is_not_waited_for_for_ever(town: Town, guards: str, why: str):
    """Neither for one that gets no pod, nor for one that says nothing."""
    town.guards = guards
    with pytest.raises(TidegaugeError, match=why):
        town.injector().inject(town.request("service_outage"))

    assert town.state() == town.before
    assert town.ours() == []


REFUSALS = {
    "unknown kind": ({}, {"kind": "pod_kil"}, r"no fault kind 'pod_kil'; did you mean pod_kill\?"),
    "unknown service": ({}, {"target": "cart"}, r"no service 'cart' here; did you mean carts\?"),
    "entry": ({}, {"target": "front"}, "the entry service"),
    "intensity": ({}, {"intensity": 1.5}, "intensity must be above 0"),
    "a local kind": ({}, {"kind": "crash"}, "no fault kind 'crash'"),
    "no node pods allowed": ({"node_image": None}, {"kind": "latency"}, r"not allowed \(cluster.node_helper\)"),
    "not deployed": ({"targets": {"ghost": Target("ghost")}}, {"target": "ghost"}, "no Deployment or StatefulSet ghost in shop"),
    "too few declared": ({"targets": {"carts": Target("carts", 2)}}, {}, "1 asked for, 1 found, 2 declared"),
    "no such container": ({"targets": {"carts": Target("carts", container="x")}}, {}, "has no container 'x', only carts"),
}


@pytest.mark.parametrize("case", list(REFUSALS))
def test_what_cannot_be_meant_is_refused_before_the_first_write(town: Town, case: str):
    """No request that would change anything has come."""
    place, how, why = REFUSALS[case]
    request = replace(town.request("service_outage"), **how)
    for verb in ("check", "dry_run", "inject"):
        with pytest.raises(PreflightError, match=why):
            getattr(town.injector(**place), verb)(request)

    assert town.api.writes == []
    assert not (town.folder / "journal").exists()


def stranger(town: Town) -> None:
    pod = {"metadata": {"name": "spy", "namespace": NAMESPACE, "labels": {"app": "carts"}}, "spec": {"containers": [{"name": "carts"}]}}
    town.api.put(
        {"apiVersion": "v1", "kind": "Pod", **pod, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    )


def unwell(town: Town) -> None:
    pod = town.found().pods[0]
    town.api.put({**pod, "status": {**pod["status"], "conditions": [{"type": "Ready", "status": "False"}]}})


UNFIT = {
    "too many pods": (stranger, "service_outage", "spy matches the selector of carts and is not its"),
    "not at rest": (unwell, "service_outage", "not at rest: 0 of 1 pods serve"),
    "no Service": (lambda town: town.api.remove("Service", "carts", NAMESPACE), "black_hole", "no Service leads to carts"),
    "no port": (lambda town: town.api.remove("Service", "carts", NAMESPACE), "latency", "no Service leads to a port of carts"),
    "no CPU limit": (lambda town: town.api.put(deployment("carts", resources={})), "cpu_starvation", "carts has no CPU limit"),
    "no resize": (lambda town: town.api.texts.clear(), "cpu_starvation", "cannot resize running pods"),
    "no pods": (lambda town: town.api.put(deployment("carts", 0)), "service_outage", "matches no pod: nothing would be hit"),
}


@pytest.mark.parametrize("case", list(UNFIT))
def test_what_is_not_as_declared_is_refused_before_the_first_write(town: Town, case: str):
    """Nothing is hit, too much is hit, or it could not be undone."""
    change, kind, why = UNFIT[case]
    change(town)
    with pytest.raises(PreflightError, match=why):
        town.injector().inject(town.request(kind))

    assert town.api.writes == []


@pytest.mark.parametrize("namespace", ["kube-system", "default", "kube-public", "kube-node-lease"])
def test_some_namespaces_are_never_touched(town: Town, namespace: str):
    """Not even an injector can be made for them."""
    with pytest.raises(DocumentError, match="never written to"):
        town.injector(namespace=namespace)


def test_a_container_without_a_shell_is_refused(town: Town):
    """And a kind that needs none is named."""
    from tests.kube.programs import Ended

    town.api.run = lambda started: Ended(126, 'exec: "sh": executable file not found in $PATH')
    with pytest.raises(PreflightError, match=r"no shell that could act.*executable file not found"):
        town.injector().inject(town.request("cpu_hog"))

    assert town.api.writes == [seen for seen in town.api.writes if seen.path.endswith("/exec")]


@pytest.mark.parametrize("kind", ["service_outage", "pod_kill", "cpu_starvation", "cpu_hog", "latency"])
def test_a_dry_run_writes_nothing_and_says_what_it_would(town: Town, kind: str):
    """The server was asked whether it would take each step; the app and the disk are untouched."""
    calls = town.injector().dry_run(town.request(kind))

    assert calls
    assert town.api.writes == []
    assert town.state() == town.before
    assert not (town.folder / "journal").exists()
    assert (kind in GUARDED) == any("an account that may do nothing but" in call for call in calls)


@pytest.mark.parametrize("path", ["/pods", "/deployments/carts/scale"])
def test_what_the_server_would_not_take_is_refused_before_the_first_write(town: Town, path: str):
    """A quota or a missing right shows in the dry run, in the server's own words."""
    town.api.fail_next(403, path=path, method="POST" if path == "/pods" else "PATCH", message="exceeded quota: tiny")
    with pytest.raises(PreflightError, match=r"the API server would not take it.*exceeded quota: tiny"):
        town.injector().inject(town.request("service_outage"))

    assert town.api.writes == []


def test_one_fault_at_a_time_and_each_id_once(town: Town):
    """A second one is refused while the first acts; an id is not used again afterwards."""
    fault = town.injector().inject(town.request("service_outage"))
    with pytest.raises(PreflightError, match=r"t001 \(service_outage\) is active on carts"):
        town.injector().inject(town.request("pod_kill", fault="t002"))
    fault.revert()
    with pytest.raises(PreflightError, match="there was a fault t001 already"):
        town.injector().inject(town.request("service_outage"))

    assert town.injector().inject(town.request("service_outage", fault="t002")).revert().verified


def test_a_step_that_fails_is_undone(town: Town):
    """The act is refused though its dry run was not: the fault is over, and the error is the server's."""
    real = town.kube.patch

    def patch(ref: Any, body: Any, **how: Any):
        if how.get("subresource") == "scale" and not how.get("dry_run") and body["spec"]["replicas"] == 0:
            raise TidegaugeError("the server fell over")
        return real(ref, body, **how)

    town.kube.patch = patch  # type: ignore[method-assign]
    with pytest.raises(TidegaugeError, match="the server fell over"):
        town.injector().inject(town.request("service_outage"))

    assert town.state() == town.before
    assert town.ours() == []
    assert town.injector().open_faults() == ()


def test_a_revert_that_fails_is_tried_again(town: Town):
    """A server that is unwell for a while: the fault is verified to be over in the end."""
    fault = town.injector().inject(town.request("service_outage"))
    town.api.fail_next(500, times=12, path="/scale")

    assert fault.revert().verified
    assert town.state() == town.before


def test_a_revert_that_cannot_be_done_is_never_called_done(town: Town):
    """Exit code 5 and the command; no further fault begins; once the server is well, the emergency stop verifies."""
    fault = town.injector().inject(town.request("service_outage"))
    town.api.fail_next(500, times=10_000, path="/scale")
    with pytest.raises(FaultActiveError, match=r"MAY STILL BE ACTIVE: t001 \(service_outage on carts\).*spec.replicas: 1 -> 0") as told:
        fault.revert()
    assert told.value.exit_code == 5
    assert told.value.next_step == "tidegauge faults revert --all"
    town.clock.now_s += 3600
    with pytest.raises(FaultActiveError):
        town.injector().inject(town.request("pod_kill", fault="t002"))
    town.api.plan.clear()

    assert [entry.id for entry in revert_all(town.kube, town.folder, town.clock)] == ["t001"]
    assert town.state() == town.before
    assert town.ours() == []


def test_what_is_removed_while_a_fault_lasts_took_the_fault_with_it(town: Town):
    """Nobody can say that it still acts; that it is gone stands in the journal."""
    fault = town.injector().inject(town.request("service_outage"))
    town.api.remove("Deployment", "carts", NAMESPACE)
    town.api.remove("Service", "carts", NAMESPACE)

    assert fault.wait().verified
    entry = Journal(town.folder).entry("t001")
    assert entry is not None
    assert entry.events["verified"]["gone"] == ["deployment/carts in shop", "service/carts in shop"]
    assert town.ours() == []


def test_a_guard_that_was_removed_by_hand_is_no_hindrance(town: Town):
    """Its Job is gone, and its pod is still on its way out."""
    fault = town.injector().inject(town.request("service_outage"))
    job = town.api.all("Job", NAMESPACE)[0]
    pod = next(one for one in town.api.all("Pod", NAMESPACE) if "job-name" in one["metadata"]["labels"])
    town.api.remove("Job", job["metadata"]["name"], NAMESPACE)
    town.api.put({**pod, "metadata": {**pod["metadata"], "ownerReferences": [], "resourceVersion": None}})
    looks: list[int] = []

    def stop() -> bool:
        looks.append(1)
        if len(looks) == 3:
            town.api.remove("Pod", pod["metadata"]["name"], NAMESPACE)
        return False

    assert fault.wait(stop).verified


def test_a_guard_opens_the_same_registries_as_the_app(town: Town):
    """It has an account of its own, which does not know the namespace's secrets."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    town.api.put({**account, "imagePullSecrets": [{"name": "registry"}]})
    fault = town.injector().inject(town.request("service_outage"))

    assert town.api.all("Job", NAMESPACE)[0]["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    fault.revert()


def test_the_moment_of_a_guards_end_is_told_by_our_clock(town: Town):
    """Its node's clock is an hour behind; what it said when it was armed tells by how much."""
    town.clock.now_s -= 3600
    armed = line("armed", town.clock.now_s)
    town.clock.now_s += 3600
    fault = town.injector().inject(town.request("service_outage"))
    name = next(one["metadata"]["name"] for one in town.api.all("Pod", NAMESPACE) if "job-name" in one["metadata"]["labels"])
    town.api.logs[NAMESPACE, name, "guard"] = [armed, line("reverted", town.clock.now_s - 3600 + 7.0)]
    began_s = town.clock.now_s
    town.clock.now_s += 60
    revert_all(town.kube, town.folder, town.clock)

    entry = fault.entry()
    assert (entry.wall_s("reverted") or 0) - began_s == pytest.approx(7.0, abs=1.0)


def test_a_target_that_does_not_come_back_is_not_called_well(town: Town):
    """The objects are as before, and nobody serves: the fault is not verified."""
    fault = town.injector().inject(town.request("service_outage"))
    real = town._new_pod

    def unwell_pod(*arguments: Any) -> None:
        real(*arguments)
        unwell(town)

    town._new_pod = unwell_pod  # type: ignore[method-assign]
    with pytest.raises(FaultActiveError, match="does not serve as before: 0 of 1 pods are ready"):
        fault.revert()


@pytest.mark.parametrize("kind", ["service_outage", "latency"])
def test_whoever_is_killed_at_any_moment_leaves_what_the_next_start_can_end(town: Town, kind: str):
    """Some moments to die at, from the first request to the last; the next start finds the journal, and leaves everything as before."""
    for lives in (9, 15, 19, 24, 28, 33):
        with suppress(Killed):
            town.injector(Mortal(town.kube, lives)).inject(town.request(kind, fault=f"t{lives:03d}", duration_s=2.0)).wait()
        revert_all(town.kube, town.folder, town.clock)

        assert town.state() == town.before, lives
        assert town.ours() == [], lives
        assert town.injector().open_faults() == (), lives


def test_a_guard_that_is_gone_ends_the_fault(town: Town):
    """Nobody would undo it if we died now, too."""
    fault = town.injector().inject(town.request("service_outage"))
    for job in town.api.all("Job", NAMESPACE):
        town.api.remove("Job", job["metadata"]["name"], NAMESPACE)
    receipt = fault.wait()

    assert receipt.note == "its guard is gone"
    assert town.state() == town.before


def test_the_api_server_may_be_away_while_a_fault_lasts(town: Town):
    """The stated end comes all the same."""
    fault = town.injector().inject(town.request("service_outage", duration_s=60.0))
    town.api.fail_next(503, times=15, path="/jobs")

    assert fault.wait().note == ""
    assert town.state() == town.before


def test_a_pod_on_a_node_that_could_not_say_what_it_left_is_followed_by_one_that_cleans(town: Town):
    """It was killed: another one looks, and says that nothing is left."""
    fault = town.injector().inject(town.request("partition"))
    name = next(pod["metadata"]["name"] for pod in town.api.all("Pod", NAMESPACE) if pod["spec"].get("hostPID"))
    town.api.remove("Pod", name, NAMESPACE)
    town.api.logs.clear()

    assert fault.wait().verified
    assert [seen.path for seen in town.api.writes if name in seen.path and "-clean" in seen.path]
    assert town.ours() == []


def test_rules_that_stay_in_a_network_are_not_called_gone(town: Town):
    """Neither by the pod that put them there nor by the one that was to clean."""
    left = ["-A INPUT -j DROP"]
    town.cleaner_left = left
    town.node_said = lambda _: [line("effective", 0.0), line("over", 1.0, why="x", left=left)]
    fault = town.injector().inject(town.request("partition"))
    with pytest.raises(FaultActiveError, match="on the node: -A INPUT -j DROP"):
        fault.wait()


def test_a_pod_on_a_node_that_fails_says_why(town: Town):
    """No iptables in its image, say."""
    town.node_said = lambda _: [line("over", 1.0, why="failed: no iptables", left=[])]
    with pytest.raises(TidegaugeError, match="failed: no iptables"):
        town.injector().inject(town.request("latency"))

    assert town.ours() == []


@pytest.mark.parametrize("kind", IN_HOGS)
def test_scripts_that_are_still_there_are_swept(town: Town, kind: str):
    """An early end: they are told to go, and are gone."""
    fault = town.injector().inject(town.request(kind))
    assert town.hogs
    receipt = fault.wait(lambda: True)

    assert receipt.note == "it was asked to"
    assert town.hogs == {}


def test_a_container_that_was_restarted_has_nothing_left_of_a_script(town: Town):
    """Killed for its memory and waiting for its next start: nobody needs to look into it."""
    fault = town.injector().inject(town.request("memory_leak"))
    pod = town.found().pods[0]
    statuses = [{**one, "state": {"waiting": {"reason": "CrashLoopBackOff"}}} for one in pod["status"]["containerStatuses"]]
    town.api.put({**pod, "status": {**pod["status"], "containerStatuses": statuses}})
    asked = len(town.api.started)
    receipt = fault.wait(lambda: True)

    assert receipt.verified
    assert len(town.api.started) == asked


def test_dead_processes_that_nobody_takes_away_are_told(town: Town):
    """They would be in every later look at the target's processes."""
    fault = town.injector().inject(town.request("cpu_hog"))
    town.dead = 3
    with pytest.raises(FaultActiveError, match="3 dead processes in pod/carts-"):
        fault.wait(lambda: True)


def test_a_pod_is_killed_again_whenever_all_serve(town: Town):
    """In the first half of the time at intensity one half; then its successor may live."""
    killed: list[float] = []
    real = town.kube.delete

    def delete(ref: Any, **how: Any) -> bool:
        if ref.kind == "Pod" and not how.get("dry_run"):
            killed.append(town.clock.now_s)
        return real(ref, **how)

    town.kube.delete = delete  # type: ignore[method-assign]
    ended(town, "pod_kill", intensity=0.5, duration_s=60.0)

    assert len(killed) > 3
    assert 20 < killed[-1] - killed[0] <= 31


def test_a_fault_in_a_cluster_is_not_ended_by_looking_at_this_machine(town: Town):
    """The journal says where it acts: the emergency stop for processes does not call it over."""
    fault = town.injector().inject(town.request("service_outage"))
    with pytest.raises(FaultActiveError):
        local_revert_all(town.folder, clock=town.clock)
    other = replace(fault.ending.plan, server="https://elsewhere.test")
    other.write(Journal(town.folder).folder)
    with pytest.raises(FaultActiveError, match=r"it is in another cluster, at https://elsewhere.test"):
        revert_all(town.kube, town.folder, town.clock)
    fault.ending.plan.write(Journal(town.folder).folder)

    assert revert_all(town.kube, town.folder, town.clock)[0].open is False
    assert town.state() == town.before


def test_everything_that_is_made_carries_the_run(town: Town):
    """So that it is found again whatever becomes of us."""
    fault = town.injector().inject(town.request("latency"))
    made = [item for kind in ("Pod", "Job", "ServiceAccount", "Role", "RoleBinding") for item in town.api.all(kind, NAMESPACE)]
    ours = [one for one in made if "app" not in (one["metadata"].get("labels") or {})]
    wanted = {"app.kubernetes.io/managed-by": "tidegauge", "tidegauge.dev/run": RUN, "tidegauge.dev/part": "fault"}

    assert len(ours) == 6
    assert all(wanted.items() <= one["metadata"]["labels"].items() for one in ours)
    fault.revert()
