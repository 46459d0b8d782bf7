"""What a deployment left on this machine, and its removal: by pid *and* start time, so that nobody else is ever hit."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import StorageError, TidegaugeError
from tasks.base.process import ProcessId
from tasks.cluster import control, marks, procfs
from tasks.cluster.deployment import SPEC_FILE, Deployment
from tasks.cluster.provider import Leftover
from tasks.cluster.state import State

POLL_S = 0.02
KILL_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Remain:
    """A living process of a deployment."""

    name: str
    id: ProcessId

    def described(self, why: str) -> Leftover:
        """For people."""
        return Leftover(self.name, f"pid {self.id.pid}", why)


def remains(state_dir: Path) -> tuple[Remain, ...]:
    """
    Living processes of the deployment in *state_dir*, its supervisor and guards excepted, by name and pid.

    Evidence, each sufficient: the pid and start time that ``state.json`` has; the mark in the environment; group and session
    of a recorded process, as long as nobody else has got the supervisor's pid. After a reboot nothing is left.
    """
    state = _state(state_dir)
    found = {}
    token = state.token if state is not None else _token(state_dir)
    if token is not None:
        found = {one.id: one.mark.process for one in marks.living(token) if one.mark.kind not in ("guard", "supervisor")}
    if state is not None and state.boot_id == procfs.boot_id():
        guards = {one.id for one in marks.living(state.token) if one.mark.kind == "guard"}
        found |= {id_: name for id_, name in _recorded(state) if id_ not in guards}
    return tuple(sorted((Remain(name, id_) for id_, name in found.items()), key=lambda one: (one.name, one.id.pid)))


def supervisor_of(state_dir: Path) -> ProcessId | None:
    """The living supervisor of the deployment in *state_dir*, one that is still starting included; None: there is none."""
    state = _state(state_dir)
    if state is not None and state.boot_id == procfs.boot_id() and state.supervisor.alive():
        return state.supervisor
    token = _token(state_dir)
    candidates = () if token is None else (one.id for one in marks.living(token) if one.mark.kind == "supervisor")
    return next(iter(candidates), None)


def tear_down(state_dir: Path, *, grace_s: float) -> tuple[Leftover, ...]:
    """
    End the deployment in *state_dir*: by its supervisor if there is one, else one by one; says what is still there.

    Idempotent. *grace_s* is the time that the services have to end by themselves.
    """
    if not state_dir.is_dir():
        return ()
    supervisor = supervisor_of(state_dir)
    if supervisor is not None:
        _end_supervisor(state_dir, supervisor, grace_s)
    until = time.monotonic() + KILL_PATIENCE_S
    while (left := remains(state_dir)) and time.monotonic() < until:
        for one in left:
            one.id.signal(signal.SIGKILL)
        time.sleep(POLL_S)
    (state_dir / control.SOCKET_FILE).unlink(missing_ok=True)
    return tuple(one.described("it did not end after SIGKILL") for one in left)


def wait_gone(process: ProcessId, patience_s: float) -> bool:
    """Whether *process* ended within *patience_s*."""
    until = time.monotonic() + patience_s
    while process.alive():
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_S)
    return True


def _end_supervisor(state_dir: Path, supervisor: ProcessId, grace_s: float) -> None:
    try:
        control.ask(state_dir, "shutdown", timeout_s=1.0)
    except TidegaugeError:
        for signum in (signal.SIGTERM, signal.SIGCONT):  # it may have been stopped
            supervisor.signal(signum)
    if not wait_gone(supervisor, grace_s + 3.0):
        supervisor.signal(signal.SIGKILL)
        wait_gone(supervisor, KILL_PATIENCE_S)


def _recorded(state: State) -> Iterator[tuple[ProcessId, str]]:
    mains = {one.main.pid: (one.main, one.name) for one in state.processes if one.main is not None}
    for main, name in mains.values():
        if main.alive():
            yield main, name
    holder = procfs.stat(state.supervisor.pid)
    if holder is not None and holder.start_ticks != state.supervisor.start_ticks:
        return
    for pid in procfs.pids():
        found = procfs.stat(pid)
        if found is None or found.ended or found.session != state.supervisor.pid or found.group not in mains:
            continue
        main, name = mains[found.group]
        if found.start_ticks >= main.start_ticks:
            yield ProcessId(pid, found.start_ticks), name


def _state(state_dir: Path) -> State | None:
    try:
        return State.read(state_dir)
    except StorageError:
        return None


def _token(state_dir: Path) -> str | None:
    if not (state_dir / SPEC_FILE).exists():
        return None
    try:
        return Deployment.read(state_dir).token
    except (StorageError, KeyError, TypeError):
        return None
