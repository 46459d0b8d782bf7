"""
The guard of one fault: ``python -m tasks.faults.guard STATE_DIR FAULT_ID``.

It is armed before anything acts and ends the fault at its stated end from the journal alone, whatever became of the runner,
the supervisor, the proxy or the service. SIGTERM means: end it now. It also ends the fault when the actuator is gone before
its time, and gives up on a fault that nobody began within :data:`ARMED_S`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.clock import Clock, SystemClock
from tasks.base.process import identify
from tasks.faults.journal import Journal, JournalEntry, process_json
from tasks.faults.leash import GuardEnd
from tasks.faults.revert import Reverted, revert

ARMED_S = 15.0
"""How long a guard waits for the fault to begin."""
WATCH_S = 0.1
AGAIN_S = 1.0
LAST_TRY_S = 600.0


@dataclass(slots=True)
class Guard:
    """Watches over *fault* until it is verified to be over."""

    journal: Journal
    fault: str
    clock: Clock
    told: bool = False
    """Set by SIGTERM: end the fault now."""
    _size: int = -1
    _entry: JournalEntry | None = None
    _ended_wall_s: float | None = field(default=None)

    def entry(self) -> JournalEntry:
        """The journal's entry, read again when the journal has grown."""
        size = self.journal.size()
        if self._entry is None or size != self._size:
            self._size, self._entry = size, self.journal.entry(self.fault)
        if self._entry is None:
            raise LookupError(f"the journal {self.journal.path} does not know the fault {self.fault}")
        return self._entry

    def run(self) -> int:
        """Arm, wait, revert; 0 when the end was verified, 5 when the fault may still be active."""
        leader = self.entry().leader
        ends = GuardEnd(self.journal.folder, self.fault, None if leader is None else leader.pid)
        try:
            me = identify(os.getpid())
            self.journal.append(self.fault, "armed", self.clock, guard=process_json(me))
            why = self._wait(ends)
            return 0 if why is None else self._end(why, ends)
        finally:
            ends.close()

    def _wait(self, ends: GuardEnd) -> str | None:
        """Why the fault is to be ended; None: somebody else has done it."""
        while True:
            self._listen(ends)
            entry = self.entry()
            if not entry.open:
                return None
            if self.told:
                return "it was asked to"
            if entry.over(self.clock):
                return "its stated end" if entry.acted else "nobody began it"
            if ends.slipped():
                self._listen(ends)
                return "its actuator ended before its time"
            self.clock.sleep(WATCH_S)

    def _listen(self, ends: GuardEnd) -> None:
        for word in ends.words():
            if word.word == "effective":
                self.journal.append(self.fault, "effective", self.clock, at_wall_s=word.wall_s)
            else:
                self._ended_wall_s = word.wall_s

    def _end(self, why: str, ends: GuardEnd) -> int:
        self.journal.append(self.fault, "revert_requested", self.clock, by="guard", why=why)
        last = self.clock.monotonic_s() + LAST_TRY_S
        while True:
            entry = self.entry()
            result = revert(entry, self.journal.state_dir, self.clock)
            self._listen(ends)
            close(self.journal, entry, result, self.clock, ended_wall_s=self._ended_wall_s)
            if result.verified:
                return 0
            if self.clock.monotonic_s() >= last:
                return 5
            self.clock.sleep(AGAIN_S)


def close(journal: Journal, entry: JournalEntry, result: Reverted, clock: Clock, *, ended_wall_s: float | None = None) -> None:
    """
    Journal how a revert went: ``reverted`` and ``verified``, or ``unverified`` with what is left.

    The fault ended when its actuator said so (*ended_wall_s*); else, when nothing of it was left at the first look after its
    stated end, at that end, since actuators and rules carry it themselves; else now.
    """
    if not result.verified:
        journal.append(entry.id, "unverified", clock, left=list(result.left))
        return
    if ended_wall_s is None and result.tries == 0 and entry.acted:
        ended_wall_s = entry.stated_end_wall_s(clock)
    journal.append(entry.id, "reverted", clock, at_wall_s=ended_wall_s, tries=result.tries)
    journal.append(entry.id, "verified", clock)


def main(argv: list[str]) -> int:
    """Guard fault *argv[1]* of the deployment in *argv[0]*."""
    state_dir, fault = argv
    guard = Guard(Journal(Path(state_dir)), fault, SystemClock())

    def told(*_: object) -> None:
        guard.told = True

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return guard.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
