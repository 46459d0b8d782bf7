"""Starting a process under the supervisor: its group, its output, its environment, and what ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.process import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a child."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    working_dir: Path
    output: int
    """Descriptor of a file (never a pipe) for standard output and error."""
    group: int | None
    """0: a process group of its own; a pid: that process's group; None: a session of its own."""
    tied: bool
    """Killed by the kernel as soon as the supervisor is gone."""


def start(how: Start) -> int:
    """
    Start a child and return its pid; nobody but the caller waits for it.

    Raises:
        OSError: It cannot be started; nothing was.
    """
    parent = os.getpid()

    def tie() -> None:
        die_with_parent()
        if os.getppid() != parent:  # the parent went between fork and here
            os.kill(os.getpid(), signal.SIGKILL)

    own_session: dict[str, Any] = {"start_new_session": True} if how.group is None else {"process_group": how.group}
    try:
        child = subprocess.Popen(
            list(how.argv),
            stdin=subprocess.DEVNULL,
            stdout=how.output,
            stderr=how.output,
            env=dict(how.environment),
            cwd=how.working_dir,
            preexec_fn=tie if how.tied else None,  # noqa: PLW1509 -- two system calls in a process of one thread
            **own_session,
        )
    except (ValueError, subprocess.SubprocessError) as error:  # NUL in an argument; the tie failed
        raise OSError(str(error)) from error
    child.returncode = 0  # the supervisor itself waits, by wait4: the module must not do it behind its back
    return child.pid


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")
