"""
Stop and continue all processes of a service in turn: ``... GROUP_START_TICKS PERIOD_S SHARE MODE``.

Of every period the processes stand still for SHARE of it and run for the rest, as cpulimit does it; SHARE 1 stops them until
the end. MODE ``pretend`` sends SIGCONT at the same moments and never SIGSTOP. Processes that appear later are caught in the
next period. It ends with its bond or when the service has no process left, and always leaves everything continued.
"""

from __future__ import annotations

import os
import signal
import sys

from tasks.base.process import ProcessId
from tasks.faults.actuators.bond import Bond
from tasks.faults.processes import group_members

WATCH_S = 0.05


class Herd:
    """The processes of a group, held by pidfd so that no signal reaches a stranger."""

    def __init__(self, leader: ProcessId) -> None:
        self._leader = leader
        self._handles: dict[ProcessId, int] = {}

    def gather(self) -> bool:
        """Take up processes that appeared, forget those that ended; whether there is any."""
        living = set(group_members([self._leader]))
        for process in set(self._handles) - living:
            os.close(self._handles.pop(process))
        for process in living - set(self._handles):
            try:
                handle = os.pidfd_open(process.pid)
            except ProcessLookupError:
                continue
            if process.alive():
                self._handles[process] = handle
            else:
                os.close(handle)
        return bool(self._handles)

    def signal(self, signum: int) -> None:
        """Send *signum* to each."""
        for handle in self._handles.values():
            try:
                signal.pidfd_send_signal(handle, signum)
            except ProcessLookupError:
                continue


def main(argv: list[str]) -> None:
    """Run until the bond or the service ends."""
    bond = Bond(argv)
    ticks, period, share, mode = bond.arguments
    period_s, still = float(period), float(share)
    herd = Herd(ProcessId(int(argv[4]), int(ticks)))
    stop = signal.SIGCONT if mode == "pretend" else signal.SIGSTOP
    said = False
    try:
        while herd.gather() and bond.holds():
            herd.signal(stop)
            if not said:
                bond.say("effective")
                said = True
            if still >= 1:
                bond.sleep(WATCH_S)
                continue
            if not bond.sleep(period_s * still):
                break
            herd.signal(signal.SIGCONT)
            bond.sleep(period_s * (1 - still))
    finally:
        herd.gather()
        herd.signal(signal.SIGCONT)
        bond.say("ended")


if __name__ == "__main__":
    main(sys.argv[1:])
