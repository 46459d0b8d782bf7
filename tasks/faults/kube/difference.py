"""
Whether an object is again what it was.

What the cluster writes by itself is left out: the status, the version counters, who manages which field, and the number that a
Deployment's controller gives to each rollout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

VOLATILE = ("resourceVersion", "generation", "managedFields")
"""Of ``metadata``."""
ROLLOUT_NUMBER = "deployment.kubernetes.io/revision"
ABSENT = object()
LONGEST = 120
_HELD = re.compile(
    r"(^|\.)(env|args|command)(\[|$)|[cC]ontainers(\[\d+\])?$|(^|\.)template(\.spec)?$|^spec$|last-applied-configuration$|annotations$"
    r"|[pP]robe$|(^|\.)lifecycle(\.\w+)?$|\.(exec|httpGet)$|httpHeaders"
)
"""Paths of what may hold a password: these texts go into messages, and into the journal of a recording."""


def steady(found: Mapping[str, Any]) -> dict[str, Any]:
    """*found* without what changes by itself."""
    kept = {name: value for name, value in found.items() if name != "status"}
    metadata = {name: value for name, value in found["metadata"].items() if name not in VOLATILE}
    notes = {name: value for name, value in (metadata.pop("annotations", None) or {}).items() if name != ROLLOUT_NUMBER}
    return {**kept, "metadata": {**metadata, **({"annotations": notes} if notes else {})}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """``spec.replicas: 1 -> 0`` for every value that is not what it was; one that may be secret is not shown. Empty: all is as it was."""
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
        yield f"{path}: is not what it was" if _HELD.search(path) else f"{path}: {_shown(before)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, separators=(",", ":"))[:LONGEST]
