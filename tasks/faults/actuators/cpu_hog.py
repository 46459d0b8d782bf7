"""
Keep processors busy inside a service's process group: ``... WORKERS MODE``.

Each worker is a shell that counts nothing for ever: a few dozen kilobytes, so that the service's memory does not give the fault
away. MODE ``pretend`` starts the same shells, and they wait for a line that never comes. The kernel ends every worker at the
deadline.
"""

from __future__ import annotations

import os
import sys

from tasks.faults.actuators.bond import Bond

BUSY = "while :; do :; done"
ASLEEP = "read line"


def main(argv: list[str]) -> None:
    """Start the workers and become one of them."""
    bond = Bond(argv)
    workers, mode = int(bond.arguments[0]), bond.arguments[1]
    worker = ["sh", "-c", ASLEEP if mode == "pretend" else BUSY]
    for _ in range(workers - 1):
        if os.fork() == 0:
            bond.become(worker)
    bond.say("effective")
    bond.become(worker)


if __name__ == "__main__":
    main(sys.argv[1:])
