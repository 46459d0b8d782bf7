"""What all actuators share: their deadline, their end of the leash, and the order to stop."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from tasks.faults.leash import leash_path, let_go_when_closed, word_path

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
        self.arguments = argv[5:]
        self._mono_s, self._wall_s = float(mono), float(wall)
        self._told = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            self._leash = os.open(leash_path(Path(folder), fault), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._word = os.open(word_path(Path(folder), fault), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
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
            os.write(self._word, json.dumps({"word": word, "wall_s": time.time()}).encode() + b"\n")
        except OSError:
            return

    def release(self) -> None:
        """In a forked worker: hold neither pipe, so that the guard sees the main actuator's death."""
        os.close(self._leash)
        os.close(self._word)
