"""A generator's pod as the API shows it, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.kube.waiting import NEVER_STARTS
from tasks.load.kube.manifests import CONTAINER, NUMBER, ROLE

STUCK = NEVER_STARTS | {"ImageInspectError", "CrashLoopBackOff"}
"""Reasons to wait that do not pass by themselves: a generator that ended once has nothing else to try."""


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a load."""

    name: str
    uid: str
    worker: int | None
    """Number of the worker; None: it is the master."""
    node: str | None
    begun: bool
    """Whether its container runs or has run: there is a log."""
    restarts: int
    """How often its container was started again."""
    over: bool
    """Whether it has ended for good."""
    exit_code: int | None
    """Of the process that ended last."""
    stuck: str | None
    """Why it does not start, and will not by itself."""
    waiting: str | None
    """Why it does not start yet."""


def state_of(pod: Mapping[str, Any]) -> PodState:
    """What *pod*, an object of the API, says."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    container: Mapping[str, Any] = next(
        (one for one in containers if one.get("name") == CONTAINER), {}
    )  # a mesh may have put its own beside it
    now, before = container.get("state") or {}, container.get("lastState") or {}
    ended = now.get("terminated") or before.get("terminated") or {}
    waiting = now.get("waiting") or {}
    said = f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")
    master = (metadata.get("labels") or {}).get(ROLE) == "master"
    return PodState(
        name=metadata["name"],
        uid=metadata["uid"],
        worker=None if master else int((metadata.get("annotations") or {})[NUMBER]),
        node=(pod.get("spec") or {}).get("nodeName"),
        begun="running" in now or bool(ended),
        restarts=container.get("restartCount", 0),
        over=status.get("phase") in ("Succeeded", "Failed"),
        exit_code=ended.get("exitCode"),
        stuck=said if waiting.get("reason") in STUCK else None,
        waiting=said or _unscheduled(status),
    )


def _unscheduled(status: Mapping[str, Any]) -> str | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    return None
