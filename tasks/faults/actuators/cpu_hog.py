"""
Keep processors busy inside a service's process group: ``... WORKERS MODE``.

WORKERS may be a fraction: 2.4 is two workers that never rest and one that works 40 % of the time. MODE ``pretend`` starts the
same processes and lets them sleep. Workers end with the actuator's process, whatever ended it, and at the deadline.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from tasks.faults.actuators.bond import Bond

CYCLE_S = 0.02


def work(share: float, parent: int, bond: Bond, *, pretend: bool) -> None:
    """Be busy for *share* of the time, as long as *parent* lives and the deadline has not passed."""
    while os.getppid() == parent and bond.left_s() > 0:
        if pretend:
            time.sleep(min(0.25, bond.left_s()))
            continue
        rest = time.monotonic() + CYCLE_S * share
        while time.monotonic() < rest:
            for _ in range(2000):
                pass
        if share < 1:
            time.sleep(CYCLE_S * (1 - share))


def main(argv: list[str]) -> None:
    """Start the workers, wait for the end, end them."""
    bond = Bond(argv)
    wanted, mode = float(bond.arguments[0]), bond.arguments[1]
    shares = [1.0] * int(wanted) + ([wanted % 1] if wanted % 1 > 0 else [])
    parent, workers = os.getpid(), []
    for share in shares:
        pid = os.fork()
        if pid == 0:
            bond.release()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work(share, parent, bond, pretend=mode == "pretend")
            os._exit(0)
        workers.append(pid)
    bond.say("effective")
    while bond.sleep(3600):
        pass
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)
    bond.say("ended")


if __name__ == "__main__":
    main(sys.argv[1:])
