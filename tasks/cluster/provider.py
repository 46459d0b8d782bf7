"""
What a place to run an app on can do, whoever runs it.

The decision is a value (:func:`changes`), the act is :meth:`ClusterProvider.apply`: the only method but ``down`` that can
hurt anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tasks.base.process import ProcessSpec

Action = Literal["create", "replace", "remove"]
Spec = TypeVar("Spec")
"""What a provider runs: :class:`ProcessSpec` on this machine, a manifest on Kubernetes."""


@dataclass(frozen=True, slots=True)
class Change(Generic[Spec]):
    """One step from what is there to what is wanted."""

    name: str
    """The process or object."""
    action: Action
    """What is done to it."""
    spec: Spec | None
    """What it shall be; None when it is removed."""
    why: str
    """The difference, in words."""


@dataclass(frozen=True, slots=True)
class Found(Generic[Spec]):
    """Something of ours that is there."""

    name: str
    """The process or object."""
    state: Literal["running", "waiting", "orphaned"]
    """``waiting``: not ready, or ended and to be started again. ``orphaned``: there, but nobody looks after it."""
    spec: Spec | None
    """What it was started from; None when that is no longer known."""
    identity: str
    """Where to find it, for people: a pid, a pod."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that is still there after a teardown, or after its keeper died."""

    name: str
    """The service or process that it belonged to."""
    identity: str
    """Where to find it, for people."""
    why: str
    """Why it is still there."""


class ClusterProvider(Protocol[Spec]):
    """A place that runs processes or workloads; every implementation passes ``tests/contracts``."""

    def plan(self, wanted: Iterable[Spec]) -> tuple[Change[Spec], ...]:
        """
        Steps to *wanted*, in an order in which they can be done, alphabetical among equals; empty when it is there already.

        Changes nothing.

        Raises:
            PreflightError: *wanted* cannot be had here.
        """
        ...

    def apply(self, change: Change[Spec]) -> None:
        """
        Do one step; returns once it is done. Doing it a second time does nothing.

        Raises:
            PreflightError: It was refused; nothing was started.
        """
        ...

    def list(self) -> tuple[Found[Spec], ...]:
        """What of ours is there, in alphabetical order of name; read anew each time."""
        ...

    def down(self) -> tuple[Leftover, ...]:
        """Remove everything of ours and say what is still there; does nothing the second time."""
        ...


def changes(wanted: Iterable[ProcessSpec], found: Iterable[Found[ProcessSpec]]) -> tuple[Change[ProcessSpec], ...]:
    """
    Differences between *wanted* and *found*, in alphabetical order of name; what already fits is left alone.

    Raises:
        ValueError: Two of *wanted* have one name.
    """
    specs = list(wanted)
    targets: Mapping[str, ProcessSpec] = {spec.name: spec for spec in specs}
    if len(targets) != len(specs):
        raise ValueError(f"names are not unique: {', '.join(sorted(spec.name for spec in specs))}")
    there = {one.name: one for one in found}
    steps = (_step(name, targets.get(name), there.get(name)) for name in sorted(targets.keys() | there.keys()))
    return tuple(step for step in steps if step is not None)


def _step(name: str, wanted: ProcessSpec | None, found: Found[ProcessSpec] | None) -> Change[ProcessSpec] | None:
    if found is None:
        return Change(name, "create", wanted, "not there")
    if wanted is None:
        return Change(name, "remove", None, "not wanted")
    if found.state == "orphaned":
        return Change(name, "replace", wanted, "nobody looks after it")
    if found.spec != wanted:
        return Change(name, "replace", wanted, "made from other settings")
    return None
