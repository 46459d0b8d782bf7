"""
Kill a service's main process, and each that replaces it: ``... START_TICKS SHARE MODE``.

For SHARE of the time until the deadline every main process is killed (SIGKILL) as soon as it is seen; at least once. MODE
``pretend`` sends signal 0 instead. The replacement is known by session, command line and environment.
"""

from __future__ import annotations

import signal
import sys
import time

from tasks.base.process import ProcessId
from tasks.faults.actuators.bond import Bond
from tasks.faults.processes import Signature, environment, group_members, successors

WATCH_S = 0.1


def main(argv: list[str]) -> None:
    """Kill until the share of time is over, then wait for the end."""
    bond = Bond(argv)
    pid, (ticks, share, mode) = int(argv[4]), bond.arguments
    target = ProcessId(pid, int(ticks))
    signature, wanted = Signature.of(pid), environment(pid)
    signum = 0 if mode == "pretend" else signal.SIGKILL
    until = time.monotonic() + bond.left_s() * float(share)
    strike(target, signum)
    bond.say("effective")
    while bond.sleep(WATCH_S):
        for found in successors(signature) if time.monotonic() < until else ():
            if environment(found.pid) == wanted:
                strike(found, signum)
    bond.say("ended")


def strike(main_process: ProcessId, signum: int) -> None:
    """Send *signum* to a main process and, when it is deadly, to what is left of its group: a crash leaves no orphans."""
    followers = group_members([main_process]) if signum else ()
    main_process.signal(signum)
    for process in followers:
        process.signal(signum)


if __name__ == "__main__":
    main(sys.argv[1:])
