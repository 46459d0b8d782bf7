"""What a fault kind in a cluster is: what it needs, what it refuses, and the steps by which it acts and is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.faults.kind import FaultKind
from tasks.faults.kube.inner import Inside
from tasks.faults.kube.steps import Step, Undo
from tasks.faults.kube.target import Found, Object
from tasks.kube.refs import ObjectRef

Need = Literal["api", "resize", "script", "node"]
"""What a kind works by: plain changes of objects, the resize of pods in place, a shell in the container, or a pod on the node."""


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """With what a pod is started on a target's node."""

    image: str
    """Has python3 and iptables."""
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClusterAim:
    """What a kind may know when it plans."""

    fault: str
    """The fault's id."""
    found: Found
    intensity: float
    placebo: bool
    duration_s: float
    insides: Mapping[str, Inside] = field(default_factory=dict)
    """What the containers say of themselves, by name of the pod; only for kinds that need a shell."""
    node: NodeAccess | None = None
    """None: pods on nodes are not allowed."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked at to see whether a fault is in effect."""

    found: Found
    objects: Mapping[ObjectRef, Object | None]
    """What the steps touch; None: it is not there."""


def at_once(sight: Sight) -> bool:  # noqa: ARG001 -- every effect has the same signature
    """In effect as soon as the API said yes."""
    return True


@dataclass(frozen=True, slots=True)
class Moves:
    """A fault, decided."""

    acts: tuple[Step, ...]
    reverts: tuple[Undo, ...] = ()
    """What undoes it; empty: nothing remains, or it ends by itself inside the container."""
    effect: Callable[[Sight], bool] = at_once
    """Whether it is in effect."""
    same_pods: bool = True
    """Whether the target's pods live on, so that they are compared as well."""
    again: Callable[[Found], tuple[Step, ...]] | None = None
    """What is done once more whenever the target is whole again, until ``again_s``."""
    again_s: float = 0.0
    """Seconds from the start of the fault."""


def no_problems(found: Found) -> list[str]:  # noqa: ARG001 -- every kind has the same signature
    """For kinds that take any target."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterKind(FaultKind):
    """A kind that is done to the pods of a Deployment or StatefulSet."""

    plan: Callable[[ClusterAim], Moves]
    """
    Pure: the same for the same aim.

    Raises:
        PreflightError: What the containers say of themselves does not allow it.
    """
    need: Need = "api"
    problems: Callable[[Found], list[str]] = no_problems
    """Why this kind cannot be done to such a target, beside what is true of all kinds."""
