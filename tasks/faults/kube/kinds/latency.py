"""A service that can be reached only slowly: a bad network between it and everybody else."""

from __future__ import annotations

from tasks.faults.kind import Column
from tasks.faults.kube.kind import ClusterAim, ClusterKind, Moves
from tasks.faults.kube.node_pod import network_problems, on_nodes, service_ports

FULL_MS = 400.0
"""A probe opens a connection and asks: below its usual time limit of a second, so that the pod is not taken out of its Service."""


def plan(aim: ClusterAim) -> Moves:
    """Hold each packet that comes in for *intensity* of 400 ms."""
    return on_nodes(aim, {"mode": "hold", "ports": service_ports(aim.found), "delay_ms": aim.intensity * FULL_MS})


KIND = ClusterKind(
    name="latency",
    summary="a pod on the node holds every packet back that comes in at the target's ports",
    full_strength="400 ms for every packet; less in proportion",
    placebo="the same pod and rule, for packets from an address that nobody has",
    # The target's own histogram does not see the delay. What scrapes it comes the same way as everybody.
    witnesses=(Column("{target}/scrape_duration_s", "up"),),
    moves=("{caller}/latency_p95_s", "{caller}/latency_mean_s", "{target}/scrape_duration_s"),
    default_intensity=0.5,
    need="node",
    problems=network_problems,
    plan=plan,
)
