"""Real replies of an API server and a kubelet (Kubernetes 1.36), trimmed, and pods made like them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tasks.telemetry.kube.pods import ContainerView, PodView

REPLIES = Path(__file__).parent / "replies"
NAMESPACE = "telemetry-dev"


def saved(name: str) -> Any:
    """A reply in JSON; a copy that may be changed."""
    return json.loads((REPLIES / f"{name}.json").read_text())


def text(name: str) -> str:
    """A metrics page."""
    return (REPLIES / f"{name}.txt").read_text()


def pod(name: str = "front-768b7cb47d-2vhdl") -> dict[str, Any]:
    """One of the saved pods."""
    return copy.deepcopy(next(one for one in saved("pods") if one["metadata"]["name"] == name))


def view(
    uid: str, *, workload: str = "front", kind: str = "Deployment", created_s: float = 0.0, running: bool = True, leaving: bool = False
) -> PodView:
    """A pod as telemetry sees it, called like its *uid*."""
    phase = "Running" if running else "Pending"
    return PodView(
        uid, uid, workload, kind, created_s, "node1", phase, leaving=leaving, containers=(ContainerView("front", running=running),)
    )
