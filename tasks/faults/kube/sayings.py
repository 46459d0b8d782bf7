"""What our pods say in their logs, and why a pod does not start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.faults.kube.target import Object, name_of
from tasks.kube.waiting import NEVER_STARTS


@dataclass(frozen=True, slots=True)
class Saying:
    """A line that a program in the cluster has said."""

    word: str
    wall_s: float
    """By its node's clock."""
    facts: dict[str, Any]


def sayings(lines: Iterable[bytes]) -> tuple[Saying, ...]:
    """The lines that are ours; a program that failed says others, too."""
    found = []
    for line in lines:
        try:
            value = json.loads(line)
            found.append(Saying(str(value.pop("said")), float(value.pop("wall_s")), value))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(found)


def said(found: Sequence[Saying], word: str) -> Saying | None:
    """The last saying that begins with *word*."""
    return next((one for one in reversed(found) if one.word == word), None)


def stuck(pod: Object) -> str:
    """Why the pod will not start, or has ended; empty while there is hope."""
    status = pod.get("status", {})
    for one in status.get("containerStatuses") or ():
        waiting, ended = one.get("state", {}).get("waiting") or {}, one.get("state", {}).get("terminated") or {}
        if waiting.get("reason") in NEVER_STARTS:
            return f"pod {name_of(pod)}: {waiting['reason']}: {waiting.get('message', '')}".strip(": ")
        if ended:
            return f"pod {name_of(pod)} ended with code {ended.get('exitCode')} ({ended.get('reason', '')})"
    if status.get("phase") in ("Failed", "Succeeded"):
        return f"pod {name_of(pod)} has {status['phase'].lower()}: {status.get('reason', '')} {status.get('message', '')}".strip(": ")
    unplaced = [one for one in status.get("conditions") or () if one["type"] == "PodScheduled" and one["status"] == "False"]
    return f"pod {name_of(pod)} finds no node: {unplaced[0].get('message', '')}" if unplaced else ""


def ended(pod: Object | None) -> bool:
    """Whether it is over with the pod."""
    return pod is None or pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
