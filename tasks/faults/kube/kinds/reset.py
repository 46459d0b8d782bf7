"""A service whose connections are torn down: a crashed proxy, a firewall that refuses."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.node_pod import network_problems, on_nodes, service_ports


def plan(aim: ClusterAim) -> Moves:
    """Answer *intensity* of the packets that come in with a reset."""
    return on_nodes(aim, {"mode": "reset", "ports": service_ports(aim.found), "ratio": aim.intensity})


KIND = ClusterKind(
    name="reset",
    summary="a pod on the node has the kernel answer packets at the target's ports with a TCP reset, at random",
    full_strength="every packet; less in proportion",
    placebo="the same pod and rule, for packets from an address that nobody has",
    witnesses=(Column("{target}/up", "down"), Column("{target}/request_rate_per_s", "down")),
    moves=("{caller}/error_ratio", "{target}/request_rate_per_s"),
    default_intensity=1.0,
    need="node",
    problems=network_problems,
    plan=plan,
)
