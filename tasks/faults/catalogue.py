"""All fault kinds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from tasks.faults.kind import Kind
from tasks.faults.kinds import cpu_hog, cpu_squeeze, crash, http_errors, latency, memory_leak, pause

_MODULES = (cpu_squeeze, cpu_hog, memory_leak, latency, http_errors, pause, crash)

KINDS: Mapping[str, Kind] = MappingProxyType({module.KIND.name: module.KIND for module in _MODULES})
"""By name, in the order in which they are listed."""


def witness_names(kind: str, target: str) -> tuple[str, ...]:
    """The witnesses of *kind* for the service *target*, the usual one first."""
    return tuple(witness.name.format(target=target) for witness in KINDS[kind].witnesses)


def nearest(name: str, known: Mapping[str, object]) -> str:
    """``; did you mean X?`` for a *name* that is not *known*, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""
