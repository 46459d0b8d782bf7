"""
The leash between a guard and its actuator: two named pipes in the journal's folder.

``ID.leash`` carries nothing. The guard holds its reading end, the actuator its writing end, and each has asked the kernel to
send SIGCONT to the target's process group when the other end closes (``fcntl(2)``: F_SETOWN, F_SETSIG, O_ASYNC). So whichever
of the two is killed first, even by SIGKILL, the target is let go by the kernel; the survivor then ends the fault. An actuator
that finds no guard at the other end does not act. ``ID.word`` carries the actuator's two words, with their wall times.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from dataclasses import dataclass
from pathlib import Path

from tasks.faults.pipes import leash_path, let_go_when_closed, word_path


@dataclass(frozen=True, slots=True)
class Word:
    """What an actuator said, and when (wall clock, UTC)."""

    word: str
    wall_s: float


class GuardEnd:
    """The guard's ends of both pipes; made before anything may act."""

    def __init__(self, folder: Path, fault: str, group: int | None) -> None:
        self._paths = (Path(leash_path(str(folder), fault)), Path(word_path(str(folder), fault)))
        for path in self._paths:
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
        self._leash, self._word = (os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for path in self._paths)
        if group is not None:
            let_go_when_closed(self._leash, group)
        self._poll = select.poll()
        self._poll.register(self._leash, 0)
        self._kept = b""

    def slipped(self) -> bool:
        """Whether an actuator had taken its end and has gone."""
        return any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def words(self) -> tuple[Word, ...]:
        """What was said since the last call."""
        with contextlib.suppress(BlockingIOError):
            self._kept += os.read(self._word, 4096)
        *lines, self._kept = self._kept.split(b"\n")
        return tuple(Word(**json.loads(line)) for line in lines if line)

    def close(self) -> None:
        """Remove the pipes."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        os.close(self._leash)
        os.close(self._word)
