"""Processes as values: what to start, and who one is after its pid was given to somebody else."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid together with its start time (clock ticks after boot): no other process is ever mistaken for it."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        found = stat_of(self.pid)
        return found is not None and found.start_ticks == self.start_ticks and found.state not in "ZX"

    def signal(self, signum: int) -> bool:
        """Send *signum* unless it is gone; says whether it was sent."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, signum)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What ``/proc/PID/stat`` says."""

    state: str
    parent: int
    group: int
    start_ticks: int


def stat_of(pid: int) -> ProcessStat | None:
    """State of process *pid*, or None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return ProcessStat(fields[0], int(fields[1]), int(fields[2]), int(fields[19]))


def identify(pid: int) -> ProcessId | None:
    """The identity of the process that has *pid* now."""
    found = stat_of(pid)
    return None if found is None else ProcessId(pid, found.start_ticks)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process that a provider keeps running."""

    name: str
    """Unique in the deployment; for a service, the service's name."""
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to a minimal environment (PATH, HOME, LANG, PYTHONPATH of the project)."""
    port: int | None = None
    """The loopback port it listens on, probed for readiness."""
    ready_path: str | None = None
    """Answers 200 when ready; None: an open port is enough."""
    memory_limit_bytes: int | None = None
    """Above it the group is killed, reason OOMKilled, and restarted."""
    role: Literal["service", "harness"] = "service"
    """``harness``: a proxy and the like; accounted apart, never a feature."""


def die_with_parent() -> None:
    """In a child before exec: SIGKILL when the parent *thread* ends, so start it from a main thread."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_child(
    argv: Sequence[str],
    *,
    output: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    tied: bool = True,
    pass_fds: Sequence[int] = (),
    before_exec: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """
    Start *argv* in a session of its own, its output appended to a file (never an inherited pipe).

    Args:
        argv: Program and arguments; no shell is involved.
        output: Standard output and error are appended here.
        env: The whole environment of the child; None: this process's.
        cwd: Working directory.
        tied: Killed when the calling thread ends (the main thread, for the life of the process).
        pass_fds: Descriptors the child keeps.
        before_exec: Run in the child just before exec.
    """

    def prepare() -> None:
        if tied:
            die_with_parent()
        if before_exec is not None:
            before_exec()

    with output.open("ab") as sink:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            preexec_fn=prepare,  # noqa: PLW1509 -- only two system calls; started from main threads
        )


def stop_group(child: subprocess.Popen[bytes], *, grace_s: float) -> int:
    """TERM to the child's group, wait *grace_s*, KILL to the group; the child's exit status."""
    for signum, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
        try:
            os.killpg(child.pid, signum)
        except ProcessLookupError:
            break
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return child.wait()
