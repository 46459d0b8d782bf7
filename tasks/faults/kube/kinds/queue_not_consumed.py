"""A queue that nobody empties: its consumer is away, and no user notices at first."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.scaling import loses_claims, scaled


def plan(aim: ClusterAim) -> Moves:
    """No consumer is left."""
    return scaled(aim, 0)


KIND = ClusterKind(
    name="queue_not_consumed",
    summary="scales the workload that empties a queue to nothing, and back at the end",
    full_strength="no consumer is left, at any intensity",
    placebo="scales it to the number that it has",
    # Who owns the queue is known to no fault: any service that counts one may tell. The consumer itself is missing, too.
    witnesses=(Column("*/queue_depth", "up"), Column("{target}/replicas_available", "down"), Column("{target}/up", "down")),
    moves=("*/queue_depth",),
    default_intensity=1.0,
    restarts_target=True,
    graded=False,
    problems=loses_claims,
    plan=plan,
)
