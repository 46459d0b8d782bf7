"""A service that gets too little processor time, because its limit was lowered in place."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.amounts import amount, millicores
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, Sight
from tasks.faults.kube.steps import Patch
from tasks.faults.kube.target import Found, Object, in_force, limit_of, name_of, pod_ref

LEAST_CORES = 0.01
"""The kernel schedules nothing smaller: a millisecond in a hundred."""


def problems(found: Found) -> list[str]:
    """A limit that is added could not be taken away again; one that is small already cannot be lowered."""
    limits = [limit_of(found.container(pod), "cpu") for pod in found.pods]
    if None in limits:
        return [f"{found.target.name} has no CPU limit; one that is added to a running pod could not be taken away again"]
    return [f"the CPU limit of {found.target.name} is as low as it can be"] if any((one or 0) <= LEAST_CORES for one in limits) else []


def starved(container: Object, intensity: float) -> dict[str, dict[str, str]]:
    """
    Limit and request of the container with *intensity* of its CPU limit taken away, at least 10 millicores left.

    The pod's class of service may not change: a request that was its limit stays so, one that was below stays below.
    """
    resources = container["resources"]
    before = amount(resources["limits"]["cpu"])
    limit = max(LEAST_CORES, before * (1 - intensity))
    request = amount((resources.get("requests") or {}).get("cpu", resources["limits"]["cpu"]))
    lowered = limit if request >= before else min(request, limit - 0.001)
    return {"limits": {"cpu": millicores(limit)}, "requests": {"cpu": millicores(lowered)}}


def plan(aim: ClusterAim) -> Moves:
    """Resize each pod, and back."""
    acts, reverts, wanted = [], [], {}
    for pod in aim.found.pods:
        container = aim.found.container(pod)
        resources = container["resources"]
        before = {name: {"cpu": resources[name]["cpu"]} for name in ("limits", "requests") if "cpu" in (resources.get(name) or {})}
        chosen = before if aim.placebo else starved(container, aim.intensity)
        acts.append(_resize(pod, container, chosen))
        reverts.append(_resize(pod, container, before))
        wanted[name_of(pod)] = amount(chosen["limits"]["cpu"])

    def effect(sight: Sight) -> bool:
        """The kubelet has set the new limit."""
        pods = {name_of(pod): pod for pod in sight.found.pods}
        return all(name in pods and in_force(sight.found, pods[name]) == cores for name, cores in wanted.items())

    return Moves(tuple(acts), tuple(reverts), effect)


def _resize(pod: Object, container: Object, resources: dict[str, dict[str, str]]) -> Patch:
    body = {"spec": {"containers": [{"name": container["name"], "resources": resources}]}}
    return Patch(pod_ref(pod), body, how="strategic", subresource="resize")


KIND = ClusterKind(
    name="cpu_starvation",
    summary="lowers the CPU limit of the running pods in place (no restart), and sets it back at the end",
    full_strength="10 millicores are left; at intensity x, x of the limit is taken away",
    placebo="a resize to the limit that it has",
    witnesses=(
        Column("{target}/throttled_ratio", "up"),
        Column("{target}/cpu_cores", "down"),
        Column("{target}/scrape_duration_s", "up"),
    ),
    moves=("{target}/throttled_ratio", "{target}/cpu_cores", "{target}/latency_p95_s", "{caller}/latency_p95_s"),
    default_intensity=0.9,
    need="resize",
    problems=problems,
    plan=plan,
)
