"""More pods for a while, as an autoscaler does it."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.scaling import leaves_claims, scaled, share


def plan(aim: ClusterAim) -> Moves:
    """Add *intensity* of the pods, at least one."""
    return scaled(aim, aim.found.replicas + share(aim.found.replicas, aim.intensity))


KIND = ClusterKind(
    name="scale_out_in",
    summary="scales the workload out, and in again at the end; no harm is done",
    full_strength="twice as many pods; at intensity x, x more, at least one",
    placebo="scales it to the number that it has",
    witnesses=(Column("{target}/replicas_available", "up"), Column("{target}/memory_working_set_bytes", "up", stand_in=True)),
    moves=("{target}/memory_working_set_bytes",),
    default_intensity=1.0,
    restarts_target=True,
    graded=False,
    benign=True,
    problems=leaves_claims,
    plan=plan,
)
