"""All kinds of faults and benign changes in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tasks.faults.kube.kind import ClusterKind
from tasks.faults.kube.kinds import (
    black_hole,
    cpu_hog,
    cpu_starvation,
    latency,
    loss,
    memory_hog,
    memory_leak,
    partition,
    pause,
    pod_kill,
    queue_not_consumed,
    reset,
    rollout,
    scale_out_in,
    service_outage,
    wrong_config,
)

_MODULES = (
    cpu_starvation,
    cpu_hog,
    memory_hog,
    memory_leak,
    pod_kill,
    service_outage,
    queue_not_consumed,
    black_hole,
    wrong_config,
    latency,
    loss,
    reset,
    partition,
    pause,
    rollout,
    scale_out_in,
)

KINDS: Mapping[str, ClusterKind] = MappingProxyType({module.KIND.name: module.KIND for module in _MODULES})
"""By name, in the order in which they are listed."""
