"""One command: in a process group of its own, its output in a file, ended with us, after a time, or by a signal to us."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.process import die_with_parent, stop_group
from tasks.base.stopping import interruptible

GRACE_S = 20.0
"""A tool that is told to end may clear up what it has begun for so long, in seconds."""
POLL_S = 0.05
SHOWN_LINES = 5
SHOWN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    argv: tuple[str, ...]
    status: int
    """Exit status; negative: the signal that ended it."""
    output: str
    """What it printed."""
    last: str
    """The last lines of what it said, for messages."""

    @property
    def told(self) -> str:
        """What it was and how it ended."""
        how = f"ended with {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"
        return f"{self.argv[0]} {how}" + (f": {self.last}" if self.last else "")


def run(argv: Sequence[str], *, log: Path, timeout_s: float, variables: Mapping[str, str], private: bool = False) -> Ended:
    """
    Run *argv* to its end.

    Args:
        argv: Program and arguments; no shell reads them.
        log: What it says is appended here (both outputs, or only errors when *private*).
        timeout_s: Longest time, in seconds; then its whole group is ended.
        variables: Added to this process's environment.
        private: What it prints is a secret: kept in memory alone.

    Raises:
        PreflightError: It cannot be started, or did not end in time.
        Cancelled: A signal to us came meanwhile; the command was ended.
    """
    with log.open("ab") as sink:
        begin = sink.seek(0, os.SEEK_END)
        sink.write(f"$ {' '.join(argv)}\n".encode())
        sink.flush()
        child = _started(argv, sink.fileno(), variables, private=private)
        try:
            output = _waited(child, argv, timeout_s, log)
        except BaseException:
            stop_group(child, grace_s=GRACE_S)  # not after a good end: what it left running is the cluster
            raise
    said = log.read_bytes()[begin:].decode(errors="replace").splitlines()[1:]
    text = output.decode(errors="replace") if private else "\n".join(said)
    return Ended(tuple(argv), child.returncode, text, _last(said))


def _started(argv: Sequence[str], sink: int, variables: Mapping[str, str], *, private: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if private else sink,
            stderr=sink,
            env={**os.environ, **variables},
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 -- one system call
        )
    except OSError as error:
        raise PreflightError(
            f"{argv[0]} cannot be started: {error.strerror or error}", next_step="is it installed, and in PATH?"
        ) from error


def _waited(child: subprocess.Popen[bytes], argv: Sequence[str], timeout_s: float, log: Path) -> bytes:
    until_s = time.monotonic() + timeout_s
    with interruptible():
        while True:
            try:
                output, _ = child.communicate(timeout=min(POLL_S, timeout_s))
            except subprocess.TimeoutExpired:
                if time.monotonic() < until_s:
                    continue
            else:
                return output or b""
            raise PreflightError(f"{argv[0]} did not end within {timeout_s:g} s; it was stopped", next_step=f"see {log}")


def _last(lines: Sequence[str]) -> str:
    told = [line.strip() for line in lines if line.strip()]
    return " / ".join(told[-SHOWN_LINES:])[-SHOWN_BYTES:]


def absent(programs: Sequence[str], variables: Sequence[str]) -> tuple[str, ...]:
    """What of the needed *programs* and environment *variables* is not there, in words."""
    missing = [f"the program {name}" for name in programs if shutil.which(name) is None]
    return (*missing, *(f"the environment variable {name}" for name in variables if not os.environ.get(name)))
