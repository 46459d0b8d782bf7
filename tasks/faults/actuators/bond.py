"""What all actuators share: their deadline, their end of the leash, and the order to stop."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import NoReturn

from tasks.faults.pipes import leash_path, let_go_when_closed, word_path

MARK = "TIDEGAUGE_FAULT"
UNGUARDED = 4
LATE = 5


class Bond:
    """
    An actuator's right to act: until its deadline, as long as its guard lives, and until SIGTERM.

    Arguments on the command line: journal folder, fault id, deadline on ``CLOCK_MONOTONIC``, deadline in wall time (whichever
    passes first), process group of the target (0: none is stopped), then the actuator's own.
    """

    def __init__(self, argv: list[str]) -> None:
        folder, fault, mono, wall, group = argv[:5]
        self.mark = f"{folder}:{fault}"
        self.arguments = argv[5:]
        self._mono_s, self._wall_s = float(mono), float(wall)
        self._told = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            self._leash = os.open(leash_path(folder, fault), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._word = os.open(word_path(folder, fault), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            sys.exit(UNGUARDED)
        if int(group):
            let_go_when_closed(self._leash, int(group))
        self._poll = select.poll()
        self._poll.register(self._leash, 0)
        if not self.holds():
            sys.exit(LATE)

    def _stop(self, *_: object) -> None:
        self._told = True

    def left_s(self) -> float:
        """Seconds until the deadline; 0 when it has passed by either clock."""
        return max(0.0, min(self._mono_s - time.monotonic(), self._wall_s - time.time()))

    def holds(self) -> bool:
        """Whether the actuator may go on."""
        return not self._told and self.left_s() > 0 and not any(events & select.POLLERR for _, events in self._poll.poll(0))

    def sleep(self, seconds: float) -> bool:
        """Wait up to *seconds*, less when the right to act ends; says whether it still holds."""
        end = time.monotonic() + seconds
        while self.holds():
            left = min(end - time.monotonic(), self.left_s())
            if left <= 0:
                return self.holds()
            time.sleep(min(left, 0.05))
        return False

    def say(self, word: str) -> None:
        """Tell the guard *word* (``effective`` or ``ended``) with the time."""
        try:
            os.write(self._word, f'{{"word": "{word}", "wall_s": {time.time()!r}}}\n'.encode())
        except OSError:
            return

    def become(self, argv: list[str], *, reads: int | None = None, writes: int | None = None) -> NoReturn:
        """
        Turn this process into *argv*: a small program in place of an interpreter, that the target's memory barely shows.

        The kernel ends it at the deadline (an interval timer outlives exec), the leash stays in its hands, and it and all its
        children carry the fault's mark in their environment.

        Args:
            argv: A program of the system and its arguments.
            reads: Its standard input; None: a pipe that nobody ever writes to, so that reading waits.
            writes: Its standard output; None: nowhere.
        """
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        silent, never = os.pipe()
        os.set_inheritable(never, True)
        os.dup2(silent if reads is None else reads, 0)
        os.dup2(nowhere if writes is None else writes, 1)
        os.dup2(nowhere, 2)
        os.set_inheritable(self._leash, True)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(self.left_s(), 0.001))
        if self._told:
            sys.exit(LATE)
        os.execvpe(argv[0], argv, {**os.environ, MARK: self.mark})  # noqa: S606 -- argv is constant but for numbers
