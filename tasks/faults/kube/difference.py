"""
Whether an object is again what it was.

What the cluster writes by itself is left out: the status, the version counters, who manages which field, and the number that a
Deployment's controller gives to each rollout.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

VOLATILE = ("resourceVersion", "generation", "managedFields")
"""Of ``metadata``."""
ROLLOUT_NUMBER = "deployment.kubernetes.io/revision"
ABSENT = object()
LONGEST = 120


def steady(found: Mapping[str, Any]) -> dict[str, Any]:
    """*found* without what changes by itself."""
    kept = {name: value for name, value in found.items() if name != "status"}
    metadata = {name: value for name, value in found["metadata"].items() if name not in VOLATILE}
    notes = {name: value for name, value in (metadata.pop("annotations", None) or {}).items() if name != ROLLOUT_NUMBER}
    return {**kept, "metadata": {**metadata, **({"annotations": notes} if notes else {})}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """``spec.replicas: 1 -> 0`` for every value that is not what it was; empty when nothing is left of a change."""
    return tuple(_walk("", steady(before), steady(now)))


def _walk(path: str, before: Any, now: Any) -> Iterator[str]:
    if before is not ABSENT and now is not ABSENT and type(before) is type(now):
        if isinstance(before, dict):
            for name in sorted({*before, *now}):
                yield from _walk(f"{path}.{name}".lstrip("."), before.get(name, ABSENT), now.get(name, ABSENT))
            return
        if isinstance(before, list) and len(before) == len(now):
            for place, (one, other) in enumerate(zip(before, now, strict=True)):
                yield from _walk(f"{path}[{place}]", one, other)
            return
    if before != now or type(before) is not type(now):
        yield f"{path}: {_shown(before)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, separators=(",", ":"))[:LONGEST]
