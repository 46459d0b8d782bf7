"""What a fault kind is: a way to act, the metric that must witness it, and the metrics it should move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tasks.base.process import ProcessId

Direction = Literal["up", "down", "either"]
RAMP_SHARE = 0.6
WITNESS_ROWS = 2
"""So many rows in succession must show a fault: single ones are noise."""


@dataclass(frozen=True, slots=True)
class Column:
    """A witness among the feature matrix's columns; *name* has ``{target}`` for the service, or ``*`` for whichever has the metric."""

    name: str
    direction: Direction
    returns: bool = True
    """Whether it comes back after the fault (a count of restarts does not)."""
    stand_in: bool = False
    """Whether it speaks only where a recording has none of the kind's other witnesses: it may move by itself."""


@dataclass(frozen=True, slots=True)
class ProxyRatio:
    """
    A witness among the proxy's counters (role harness, never a column of the matrix): one counter's growth per growth of another.

    Both series carry the label ``service``; a row without requests has no value.
    """

    name: str
    numerator: str
    denominator: str
    resolution: float
    """Smallest change that matters, in the unit of the ratio."""
    direction: Direction = "up"
    returns: bool = True


Witness = Column | ProxyRatio


@dataclass(frozen=True, slots=True)
class Aim:
    """What a kind may know of its target."""

    service: str
    main: ProcessId
    used_bytes: int
    """Proportional set size of the service's processes."""
    memory_limit_bytes: int | None
    processors: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start actuator *program* (a module of ``tasks.faults.actuators``) with *arguments*."""

    program: str
    arguments: tuple[str, ...]
    inside: bool
    """Whether it belongs to the service's group and accounting; otherwise it stands apart and shows in no metric of the service."""


@dataclass(frozen=True, slots=True)
class SetRule:
    """Have the proxy delay every request, or answer a share of them with an error."""

    delay_ms: float
    error_ratio: float


Act = Spawn | SetRule


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What is said of a kind of fault, wherever it is injected."""

    name: str
    summary: str
    """One sentence: what is done to the target."""
    full_strength: str
    """What intensity 1 means, and how less is scaled."""
    placebo: str
    """What the pretended fault does."""
    witnesses: tuple[Witness, ...]
    """One of them must leave its reference for the fault to count as injected; the first is the usual one."""
    moves: tuple[str, ...]
    """Columns that should move too, ``{target}`` and ``{caller}`` standing for services."""
    default_intensity: float
    restarts_target: bool = False
    """Whether the target must get ready again afterwards."""
    graded: bool = True
    """Whether less intensity does less; otherwise any intensity does the same."""
    benign: bool = False
    """A change as it happens every day, which no detector should take for a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(FaultKind):
    """A kind that is done to processes of this machine."""

    act: Callable[[Aim, float, bool], Act]
    """Pure: target, intensity in (0, 1], placebo -> what to do."""


def mode(placebo: bool) -> str:
    """The actuators' word for a real or a pretended fault."""
    return "pretend" if placebo else "act"
