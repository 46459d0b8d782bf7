"""A service that is reached through a network that loses packets."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.node_pod import network_problems, on_nodes, service_ports

FULL_RATIO = 0.5


def plan(aim: ClusterAim) -> Moves:
    """Drop *intensity* of half the packets that come in."""
    return on_nodes(aim, {"mode": "drop", "ports": service_ports(aim.found), "ratio": aim.intensity * FULL_RATIO})


KIND = ClusterKind(
    name="loss",
    summary="a pod on the node has the kernel drop packets that come in at the target's ports, at random",
    full_strength="half of all packets; less in proportion (below a few hundredths hardly anybody notices)",
    placebo="the same pod and rule, for packets from an address that nobody has",
    witnesses=(Column("{target}/scrape_duration_s", "up"), Column("{target}/up", "down")),
    moves=("{caller}/latency_p95_s", "{caller}/error_ratio", "{target}/scrape_duration_s"),
    default_intensity=0.5,
    need="node",
    problems=network_problems,
    plan=plan,
)
