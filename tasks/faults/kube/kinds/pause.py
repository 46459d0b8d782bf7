"""A service that stands still: a long collection of garbage, a frozen disk, a debugger."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.node_pod import on_nodes


def plan(aim: ClusterAim) -> Moves:
    """Hold the container's processes for *intensity* of every second."""
    return on_nodes(aim, {"mode": "pause", "ports": (), "ratio": aim.intensity})


KIND = ClusterKind(
    name="pause",
    summary="a pod on the node holds all processes of the target's container, as a debugger does",
    full_strength="held for the whole duration; at intensity x for x of every second",
    placebo="the same pod looks at the same processes and holds none",
    witnesses=(Column("{target}/up", "down"), Column("{target}/scrape_duration_s", "up"), Column("{target}/replicas_available", "down")),
    moves=("{target}/request_rate_per_s", "{caller}/latency_p95_s", "{caller}/error_ratio"),
    default_intensity=1.0,
    need="node",
    plan=plan,
)
