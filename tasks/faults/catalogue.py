"""All fault kinds: those that are done to processes of this machine, and those that are done to a cluster."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from tasks.faults.kind import FaultKind, Kind, Witness
from tasks.faults.kinds import cpu_hog, cpu_squeeze, crash, http_errors, latency, memory_leak, pause
from tasks.faults.kube.kinds import KINDS as CLUSTER_KINDS

Provider = Literal["local", "kubernetes"]
"""Where the app runs: as processes on this machine, or in a cluster, however that is reached."""
_MODULES = (cpu_squeeze, cpu_hog, memory_leak, latency, http_errors, pause, crash)

KINDS: Mapping[str, Kind] = MappingProxyType({module.KIND.name: module.KIND for module in _MODULES})
"""By name, in the order in which they are listed; done to processes of this machine."""


def kinds_for(provider: Provider) -> Mapping[str, FaultKind]:
    """The kinds that can be done there, by name, in the order in which they are listed; some names are in both."""
    return KINDS if provider == "local" else CLUSTER_KINDS


def witness_names(kind: str, target: str, provider: Provider = "local") -> tuple[str, ...]:
    """The witnesses of *kind* for the service *target*, the usual one first."""
    return tuple(witness.name.format(target=target) for witness in kinds_for(provider)[kind].witnesses)


def columns_of(witness: Witness, target: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The names among *columns* that *witness* means for *target*: one, or with ``*`` those of every service that has the metric."""
    name = witness.name.format(target=target)
    end = name.removeprefix("*")
    return tuple(column for column in columns if column == name or (end != name and column.endswith(end)))


def nearest(name: str, known: Mapping[str, object]) -> str:
    """``; did you mean X?`` for a *name* that is not *known*, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""
