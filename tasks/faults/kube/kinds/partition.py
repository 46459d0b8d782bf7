"""A service that nobody reaches, and that answers nobody: its network is cut."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.node_pod import network_problems, on_nodes, service_ports


def plan(aim: ClusterAim) -> Moves:
    """Drop every packet that comes in."""
    return on_nodes(aim, {"mode": "drop", "ports": service_ports(aim.found), "ratio": 1.0})


KIND = ClusterKind(
    name="partition",
    summary="a pod on the node has the kernel drop every packet that comes in at the target's ports, of open connections, too",
    full_strength="every packet, at any intensity",
    placebo="the same pod and rule, for packets from an address that nobody has",
    witnesses=(Column("{target}/up", "down"), Column("{target}/replicas_available", "down"), Column("{target}/request_rate_per_s", "down")),
    moves=("{target}/up", "{target}/request_rate_per_s", "{caller}/error_ratio", "{caller}/latency_p95_s"),
    default_intensity=1.0,
    graded=False,
    need="node",
    problems=network_problems,
    plan=plan,
)
