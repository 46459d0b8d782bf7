"""A service of which pods are missing, up to all of them."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.scaling import loses_claims, scaled, share


def plan(aim: ClusterAim) -> Moves:
    """Take away *intensity* of the pods, at least one."""
    return scaled(aim, aim.found.replicas - share(aim.found.replicas, aim.intensity))


KIND = ClusterKind(
    name="service_outage",
    summary="scales the workload down, and back at the end",
    full_strength="no pod is left; at intensity x, x of the pods are missing, at least one",
    placebo="scales it to the number that it has",
    witnesses=(Column("{target}/replicas_available", "down"), Column("{target}/up", "down"), Column("{target}/request_rate_per_s", "down")),
    moves=("{target}/up", "{target}/request_rate_per_s", "{caller}/error_ratio", "{caller}/latency_p95_s"),
    default_intensity=1.0,
    restarts_target=True,
    graded=False,
    problems=loses_claims,
    plan=plan,
)
