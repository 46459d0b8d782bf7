"""The local provider: services are processes of this machine under one supervisor, described by a state folder."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessSpec
from tasks.cluster import control
from tasks.cluster.config import LocalCluster
from tasks.cluster.deployment import Deployment, checked, spec_to_json
from tasks.cluster.handle import LocalHandle, ServiceState, deployment_of, leftovers, take_down
from tasks.cluster.launch import launch
from tasks.cluster.ports import allocate_ports, require_free
from tasks.cluster.provider import Change, Found, Leftover, changes
from tasks.cluster.remains import POLL_S, remains, supervisor_of
from tasks.cluster.state import ProcessState, State

__all__ = ["LocalHandle", "LocalProvider", "ServiceState", "allocate_ports", "leftovers", "take_down"]

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """The deployment in *state_dir*, which stays when this process ends."""

    state_dir: Path
    settings: LocalCluster = field(default_factory=LocalCluster)

    def plan(self, wanted: Iterable[ProcessSpec]) -> tuple[Change[ProcessSpec], ...]:
        """
        Steps to *wanted*, in alphabetical order of name; changes nothing.

        Raises:
            PreflightError: A process cannot be started as it is described.
        """
        return changes(checked(wanted), self.list())

    def apply(self, change: Change[ProcessSpec]) -> None:
        """
        Do one step; returns when the process runs, or is gone.

        Raises:
            PreflightError: It was refused: a wrong spec, a port that is taken.
        """
        if supervisor_of(self.state_dir) is None:
            take_down(self.state_dir)  # orphans have no other future
        present = {one.name: one for one in self.list()}.get(change.name)
        if present is not None and (change.spec is None or present.spec != change.spec):
            control.ask(self.state_dir, "stop", name=change.name)
            self._await(change.name, None)
            present = None
        if change.spec is not None and present is None:
            self._start(change.spec)
            self._await(change.name, change.spec)

    def list(self) -> tuple[Found[ProcessSpec], ...]:
        """What runs there, in alphabetical order; ``orphaned`` when the supervisor is dead."""
        if not self.state_dir.is_dir():
            return ()
        if supervisor_of(self.state_dir) is None:
            return tuple(Found(one.name, "orphaned", None, f"pid {one.id.pid}") for one in remains(self.state_dir))
        state = State.from_json(control.ask(self.state_dir, "status"))
        specs = {spec.name: spec for spec in Deployment.read(self.state_dir).processes}
        return tuple(_found(one, specs.get(one.name)) for one in state.processes)

    def down(self) -> tuple[Leftover, ...]:
        """End everything but guards and say what is still there; does nothing the second time."""
        return take_down(self.state_dir)

    def _start(self, spec: ProcessSpec) -> None:
        (spec,) = checked([spec])
        if supervisor_of(self.state_dir) is None:
            deployment = deployment_of([spec], self.settings)
            launch(self.state_dir.resolve(), deployment, owned=False, ttl_s=self.settings.ttl_s)
            return
        require_free([] if spec.port is None else [(spec.name, spec.port)])
        control.ask(self.state_dir, "start", spec=spec_to_json(spec))

    def _await(self, name: str, spec: ProcessSpec | None) -> None:
        until = time.monotonic() + self.settings.stop_grace_s + PATIENCE_S
        while True:
            found = {one.name: one for one in self.list()}.get(name)
            # A process that was told to stop has no spec any more while it ends: that is not yet "gone".
            if found is None if spec is None else found is not None and found.spec == spec:
                return
            if time.monotonic() > until:
                raise PreflightError(f"{name} did not change within {PATIENCE_S:g} s", next_step="tidegauge status, then: tidegauge down")
            time.sleep(POLL_S)


def _found(process: ProcessState, spec: ProcessSpec | None) -> Found[ProcessSpec]:
    where = f"waiting, next start in {process.next_start_s or 0:.0f} s" if process.main is None else f"pid {process.main.pid}"
    return Found(process.name, "waiting" if process.main is None else "running", spec, where)
