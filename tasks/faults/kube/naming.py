"""Names and labels of what a fault makes in the cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tasks.kube.labels import run_labels, run_selector

FAULT = "tidegauge.dev/fault"
LONGEST = 30


def fault_name(run: str, fault: str) -> str:
    """The name of a fault's guard; no other run's is the same, and it stays one with a few letters added."""
    digest = hashlib.sha256(f"{run}/{fault}".encode()).hexdigest()[:8]
    return f"tidegauge-{fault[:LONGEST].rstrip('-')}-{digest}"


def fault_labels(run: str, fault: str) -> Mapping[str, str]:
    """What everything of a fault carries."""
    return {**run_labels(run, "fault"), FAULT: fault}


def fault_selector(run: str, fault: str) -> str:
    """Selects everything of a fault."""
    return f"{run_selector(run, 'fault')},{FAULT}={fault}"
