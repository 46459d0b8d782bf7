"""A rollout that cannot start: a setting is taken from a place that does not exist."""

from __future__ import annotations

from typing import Any

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves, Sight
from tasks.faults.kube.steps import Patch
from tasks.faults.kube.target import Found, pod_ready

SETTING = "TIDEGAUGE_WRONG_CONFIG"


def problems(found: Found) -> list[str]:
    """The controller of a StatefulSet waits for a pod that never starts for ever, also when its template is mended again."""
    if found.stateful:
        return [f"{found.target.name} is a StatefulSet, which does not recover by itself from a pod that cannot start"]
    return []


def plan(aim: ClusterAim) -> Moves:
    """
    A variable from a ConfigMap that is not there; the old pods are taken away first.

    With the usual strategy one old pod would go on serving, and nobody would notice: the Deployment recreates meanwhile.
    """
    found = aim.found
    deployment = found.workload or {}
    container = str(found.container(found.pods[0])["name"])

    def patch(strategy: dict[str, Any], variable: dict[str, Any]) -> Patch:
        template = {"spec": {"containers": [{"name": container, "env": [{"name": SETTING, **variable}]}]}}
        return Patch(found.ref, {"spec": {"strategy": strategy, "template": template}}, how="strategic")

    wrong = {"valueFrom": {"configMapKeyRef": {"name": f"absent-{aim.fault}", "key": "absent"}}}
    before = dict(deployment["spec"].get("strategy") or {"type": "RollingUpdate"})
    back = patch(before, {"$patch": "delete"})
    if aim.placebo:
        return Moves((Patch(found.ref, {}),), (back,))

    def effect(sight: Sight) -> bool:
        """No pod serves any more."""
        return not any(map(pod_ready, sight.found.pods))

    return Moves((patch({"type": "Recreate", "rollingUpdate": None}, wrong),), (back,), effect, same_pods=False)


KIND = ClusterKind(
    name="wrong_config",
    summary="rolls out a container whose variable comes from a ConfigMap that does not exist, and undoes it at the end",
    full_strength="no pod can start (CreateContainerConfigError), at any intensity; the Deployment recreates its pods meanwhile",
    placebo="a merge patch of nothing",
    witnesses=(Column("{target}/replicas_available", "down"), Column("{target}/up", "down"), Column("{target}/request_rate_per_s", "down")),
    moves=("{target}/up", "{target}/request_rate_per_s", "{caller}/error_ratio", "{caller}/latency_p95_s"),
    default_intensity=1.0,
    restarts_target=True,
    graded=False,
    problems=problems,
    plan=plan,
)
