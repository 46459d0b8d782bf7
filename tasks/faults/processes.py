"""Who belongs to a service, read from ``/proc`` alone: it must work when supervisor and state file are gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tasks.base.process import ProcessId, stat_of

ACTUATORS = "tasks.faults.actuators."
MARK = "TIDEGAUGE_FAULT"
"""In the environment of what an actuator turned into: ``FOLDER:FAULT``."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a service's main process and the one that replaces it after a restart have in common."""

    session: int
    command: str
    """Arguments joined by NUL, as ``/proc/PID/cmdline`` has them (undecodable bytes escaped)."""

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The signature of process *pid*; None when it is gone."""
        command = _command(pid)
        if not command:
            return None
        try:
            return cls(os.getsid(pid), command)
        except ProcessLookupError:
            return None

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self | None:
        """Read a journalled signature; None stays None."""
        return None if value is None else cls(int(value["session"]), str(value["command"]))


def pids() -> Iterator[int]:
    """Every process id of this moment."""
    for name in os.listdir("/proc"):  # noqa: PTH208 -- ten times a second; a Path for each name costs more than the rest
        if name.isdigit():
            yield int(name)


def group_members(leaders: Iterable[ProcessId]) -> tuple[ProcessId, ...]:
    """
    Living processes in the groups led by *leaders*, whether or not the leader still lives.

    A group whose number was given to a new leader meanwhile is somebody else's and is left out.
    """
    groups = {leader.pid for leader in leaders if _still_its_group(leader)}
    found = []
    for pid in pids() if groups else ():
        stat = stat_of(pid)
        if stat is not None and stat.group in groups and stat.state not in "ZX":
            found.append(ProcessId(pid, stat.start_ticks))
    return tuple(found)


def _still_its_group(leader: ProcessId) -> bool:
    stat = stat_of(leader.pid)
    return stat is None or stat.start_ticks == leader.start_ticks


def successors(signature: Signature | None, environment_of: int | None = None) -> tuple[ProcessId, ...]:
    """Group leaders with *signature*: the service's main process, also after restarts; with the environment of a pid, if given."""
    if signature is None:
        return ()
    wanted = None if environment_of is None else environment(environment_of)
    found = []
    for pid in pids():
        stat = stat_of(pid)
        if stat is None or stat.group != pid or stat.state in "ZX" or Signature.of(pid) != signature:
            continue
        if wanted is None or environment(pid) == wanted:
            found.append(ProcessId(pid, stat.start_ticks))
    return tuple(found)


def actuators_of(folder: Path, fault: str) -> tuple[ProcessId, ...]:
    """Living actuator processes of *fault* in the deployment whose journal lies in *folder*, and whatever those started."""
    mark = f"{MARK}={folder}:{fault}".encode()
    found = []
    for pid in pids():
        if pid == os.getpid() or not (_runs_actuator(pid, str(folder), fault) or mark in environment(pid).split(b"\0")):
            continue
        stat = stat_of(pid)
        if stat is not None and stat.state not in "ZX":
            found.append(ProcessId(pid, stat.start_ticks))
    return tuple(found)


def _runs_actuator(pid: int, folder: str, fault: str) -> bool:
    words = _command(pid).split("\0")
    return fault in words and folder in words and any(word.startswith(ACTUATORS) for word in words)


def is_stopped(process: ProcessId) -> bool:
    """Whether *process* stands still because of a stop signal."""
    stat = stat_of(process.pid)
    return stat is not None and stat.start_ticks == process.start_ticks and stat.state == "T"


def used_bytes(processes: Iterable[ProcessId]) -> int:
    """Proportional set size of *processes* together; those that cannot be read count nothing."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    return total


def environment(pid: int) -> bytes:
    """The environment that *pid* was started with; empty when it cannot be read."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="backslashreplace")
    except OSError:
        return ""
