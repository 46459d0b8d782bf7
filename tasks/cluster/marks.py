"""
Marks in the environment of every process of a deployment: the kernel keeps them until the process ends.

They are inherited, so that a process is known for ours after it left its group and session and lost its parent. A guard
carries a mark of its own: it outlives the deployment on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.base.process import ProcessId
from tasks.cluster import procfs

DEPLOYMENT = "TIDEGAUGE_DEPLOYMENT"
PROCESS = "TIDEGAUGE_PROCESS"
KIND = "TIDEGAUGE_KIND"
GUARDED = "TIDEGAUGE_GUARDED"

Kind = Literal["service", "harness", "actuator", "guard", "supervisor"]
KINDS: tuple[Kind, ...] = ("service", "harness", "actuator", "guard", "supervisor")


@dataclass(frozen=True, slots=True)
class Mark:
    """To which *process* of the deployment something belongs, and as what."""

    process: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Marked:
    """A living process and its mark."""

    id: ProcessId
    mark: Mark


def environment(token: str, mark: Mark) -> dict[str, str]:
    """The variables that mark a process of deployment *token*."""
    held_by = GUARDED if mark.kind == "guard" else DEPLOYMENT
    return {held_by: token, PROCESS: mark.process, KIND: mark.kind}


def read(token: str, variables: Mapping[str, str]) -> Mark | None:
    """The mark in *variables*; None when they are not of deployment *token*."""
    if token not in (variables.get(DEPLOYMENT), variables.get(GUARDED)):
        return None
    text = variables.get(KIND)
    kind = next((one for one in KINDS if one == text), None)
    return None if kind is None else Mark(variables.get(PROCESS, ""), kind)


def living(token: str) -> Iterator[Marked]:
    """Processes of deployment *token* that run now, whatever became of their parents; guards included."""
    for pid in procfs.pids():
        found = procfs.stat(pid)
        if found is None or found.ended:
            continue
        mark = read(token, procfs.environment(pid))
        again = procfs.stat(pid)
        if mark is not None and again is not None and again.start_ticks == found.start_ticks:
            yield Marked(ProcessId(pid, found.start_ticks), mark)
