"""Taking steps: the only place where a fault writes to a cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.inner import argv_of
from tasks.faults.kube.steps import Create, Delete, Patch, Run, Start, Step
from tasks.kube.errors import NotFound

RUN_SLACK_S = 30.0


def take(api: ClusterApi, step: Step, *, dry_run: bool = False) -> None:
    """
    Do *step*, or with *dry_run* have the server say whether it would; scripts are not started here.

    Raises:
        KubeError: The server says no, or does not answer.
    """
    if isinstance(step, Patch):
        api.patch(step.ref, step.body, subresource=step.subresource, how=step.how, dry_run=dry_run)
    elif isinstance(step, Delete):
        api.delete(step.ref, grace_s=step.grace_s, dry_run=dry_run or step.pretend)
    elif isinstance(step, Create | Start):
        api.create(step.manifest, dry_run=dry_run or (isinstance(step, Create) and step.pretend))


def undo(api: ClusterApi, steps: Iterable[Patch | Delete]) -> list[str]:
    """Take every step, also after one that fails; why some could not be taken. What is gone needs no undoing."""
    troubles = []
    for step in steps:
        try:
            take(api, step)
        except NotFound:
            continue
        except TidegaugeError as error:
            troubles.append(f"{step}: {error.message}")
    return troubles


@dataclass(slots=True)
class Running:
    """A script in a container, followed by a thread of ours; it goes on without us."""

    step: Run
    api: ClusterApi
    clock: Clock
    duration_s: float
    ended_wall_s: float | None = None
    code: int | None = None
    trouble: str = ""
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; whether it acts is seen by a look at its processes."""
        self._thread = threading.Thread(target=self._follow, name=self.step.mark, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        step = self.step
        argv = argv_of(step.script, *step.arguments, mark=step.mark)
        try:
            limit_s = self.duration_s + RUN_SLACK_S
            self.code = self.api.execute(str(step.pod.namespace), step.pod.name, step.container, argv, timeout_s=limit_s).code
        except TidegaugeError as error:
            self.trouble = error.message
        self.ended_wall_s = self.clock.wall_s()
