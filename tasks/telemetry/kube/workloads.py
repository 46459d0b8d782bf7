"""Deployments, StatefulSets and DaemonSets: how many replicas they want and have, and which rollout they are at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
"""Kinds that are watched, with the last word of their paths."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload."""

    kind: str
    name: str
    wanted: int
    """Replicas that there should be."""
    replicas: int
    ready: int
    available: int
    unavailable: int
    updated: int
    """Replicas of the newest template."""
    generation: int
    """Raised by each change of its specification."""
    observed: int
    """The newest generation that its controller has seen."""
    images: tuple[str, ...]
    """By container, as its template names them."""


def workload_view(kind: str, value: Mapping[str, Any]) -> WorkloadView:
    """
    A workload of *kind* as the API shows it.

    Raises:
        ValueError: It is none.
    """
    try:
        metadata, spec, status = value["metadata"], value.get("spec") or {}, value.get("status") or {}
        daemon = kind == "DaemonSet"

        def count(*names: str) -> int:
            return next((int(status[name]) for name in names if name in status), 0)

        wanted = count("desiredNumberScheduled") if daemon else int(spec.get("replicas", 1))
        available = count("numberAvailable", "availableReplicas")
        return WorkloadView(
            kind=kind,
            name=str(metadata["name"]),
            wanted=wanted,
            replicas=count("currentNumberScheduled", "replicas"),
            ready=count("numberReady", "readyReplicas"),
            available=available,
            unavailable=count("numberUnavailable", "unavailableReplicas") if kind != "StatefulSet" else max(0, wanted - available),
            updated=count("updatedNumberScheduled", "updatedReplicas"),
            generation=int(metadata.get("generation", 0)),
            observed=count("observedGeneration"),
            images=tuple(str(one.get("image", "")) for one in ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a {kind}: {error!r}") from error
