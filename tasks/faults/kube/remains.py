"""What of a fault is left in a cluster: changed objects, things of ours, processes in containers, rules in networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.difference import differences
from tasks.faults.kube.guarding import as_json, logged
from tasks.faults.kube.inner import Remains, read_remains, scan_argv, sweep_argv
from tasks.faults.kube.node_pod import CLEANER, CONTAINER, cleaner
from tasks.faults.kube.saved import SavedPlan
from tasks.faults.kube.sayings import ended, said
from tasks.faults.kube.steps import Delete, Run
from tasks.faults.kube.target import Object, living, running_id, uid_of
from tasks.kube.errors import KubeError
from tasks.kube.refs import ObjectRef

EXEC_S = 15.0
CLEAN_S = 60.0
POLL_S = 0.3


@dataclass(slots=True)
class Inspection:
    """One look at everything that a fault has touched."""

    after: list[Object] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """What is not there any more, or is another object of that name: it took everything with it."""
    left: list[str] = field(default_factory=list)
    """Everything that is not as before, as sentences; empty: nothing is left."""


def inspect(api: ClusterApi, plan: SavedPlan) -> Inspection:
    """
    Compare every touched object, and look for what is ours in containers and in the namespace.

    Raises:
        KubeError: The API server says no, or does not answer.
    """
    found = Inspection()
    for before in plan.before:
        ref = ObjectRef.of(before)
        now = api.find(ref)
        if now is None or uid_of(now) != uid_of(before):
            found.gone.append(str(ref))
            continue
        found.after.append(now)
        changed = differences(before, now)
        found.differences += [f"{ref}: {text}" for text in changed]
    found.left += found.differences
    found.left += [f"{step.ref} is still there" for step in plan.reverts if isinstance(step, Delete) and api.find(step.ref) is not None]
    for run in plan.runs:
        found.left += _of_script(api, run, plan.dead)
    return found


def _of_script(api: ClusterApi, run: Run, dead_before: Mapping[str, int]) -> list[str]:
    remains = scan(api, run)
    if remains is None:
        return []
    more = remains.dead - dead_before.get(run.pod.name, 0)
    texts = [f"{len(remains.processes)} processes of the fault in {run.pod}"] if remains.processes else []
    return texts + ([f"{more} dead processes in {run.pod} that nobody took away"] if more > 0 else [])


def scan(api: ClusterApi, run: Run) -> Remains | None:
    """What is left of a script; None: its container is gone, and with it everything."""
    return _asked(api, run, scan_argv(run.mark))


def sweep(api: ClusterApi, run: Run, signal: str) -> None:
    """Have its processes end."""
    _asked(api, run, sweep_argv(run.mark, signal))


def _asked(api: ClusterApi, run: Run, argv: list[str]) -> Remains | None:
    pod = api.find(run.pod)
    if pod is None or not living(pod) or running_id(pod, run.container) != run.container_id:
        return None
    try:
        return read_remains(api.execute(str(run.pod.namespace), run.pod.name, run.container, argv, timeout_s=EXEC_S).output)
    except (KubeError, ValueError) as error:
        why = error.message if isinstance(error, KubeError) else error
        raise KubeError(f"{run.pod} could not be looked into: {why}") from error


def close_node_pods(api: ClusterApi, plan: SavedPlan, clock: Clock, stop: Callable[[], object]) -> tuple[list[str], dict[str, Any]]:
    """
    End our pods on nodes, see that they have taken everything back, and remove them; what is left, and what they said.

    A pod that could not say so is followed by another one that only cleans.

    Raises:
        KubeError: The API server says no, or does not answer.
    """
    left: list[str] = []
    logs: dict[str, Any] = {}
    for manifest in plan.starts:
        ref = ObjectRef.of(manifest)
        texts = _closed(api, ref, clock, stop, logs)
        if texts is None and _target_lives(api, plan, manifest):
            follower = cleaner(manifest)
            api.delete(ObjectRef.of(follower), grace_s=0)
            api.create(follower)
            texts = _closed(api, ObjectRef.of(follower), clock, stop, logs)
            texts = [f"nobody knows what {ref} has left on its node"] if texts is None else texts
        left += texts or []
    return left, logs


def _closed(api: ClusterApi, ref: ObjectRef, clock: Clock, stop: Callable[[], object], logs: dict[str, Any]) -> list[str] | None:
    """What a pod of ours says is left, once it has ended and is removed; None: it could not say."""
    end_s = clock.monotonic_s() + CLEAN_S
    if not ended(api.find(ref)):
        if said(logged(api, ref, CONTAINER), "effective") is not None:
            api.patch(ref, {"spec": {"activeDeadlineSeconds": 1}})  # the kubelet tells it to end, and its log stays
        elif not ref.name.endswith(CLEANER):
            api.delete(ref)
    while not ended(api.find(ref)) and clock.monotonic_s() < end_s:
        stop()
        clock.sleep(POLL_S)
    heard = logged(api, ref, CONTAINER)
    over = said(heard, "over")
    logs[ref.name] = [*logs.get(ref.name, []), *as_json(heard)]
    api.delete(ref, grace_s=None if over is None else 0)
    while api.find(ref) is not None and clock.monotonic_s() < end_s + CLEAN_S:
        stop()
        clock.sleep(POLL_S)
    return None if over is None else [f"on the node: {text}" for text in over.facts.get("left", ())]


def _target_lives(api: ClusterApi, plan: SavedPlan, manifest: Mapping[str, Any]) -> bool:
    """Whether the pod that *manifest* acted on is still the same: otherwise its network is gone, with every rule in it."""
    place = [ObjectRef.of(one) for one in plan.starts].index(ObjectRef.of(manifest))
    pods = [one for one in plan.before if one["kind"] == "Pod"]
    before = pods[place] if place < len(pods) else None
    now = None if before is None else api.find(ObjectRef.of(before))
    return before is not None and now is not None and uid_of(now) == uid_of(before)


def problems_of(error: TidegaugeError) -> str:
    """An error as a sentence of what is left."""
    return f"it could not be seen: {error.message}"
