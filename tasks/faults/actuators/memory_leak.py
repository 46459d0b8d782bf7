"""
Hold more and more memory inside a service's process group: ``... BYTES RAMP_S``.

A shell passes zeros, a step every half second, to ``tail -n 1``, which must keep them all since no line ever ends. So the helper
weighs next to nothing itself, and BYTES 0, the pretended leak, is the same two processes holding nothing. The amount reaches
BYTES after RAMP_S seconds and is held until the kernel ends both at the deadline.
"""

from __future__ import annotations

import math
import os
import sys

from tasks.faults.actuators.bond import Bond

STEP_S = 0.5
LEAK = 'while [ "$2" -gt 0 ]; do head -c "$1" /dev/zero || exit; sleep 0.5; set -- "$1" $(($2 - 1)); done; read line'


def main(argv: list[str]) -> None:
    """Start the keeper of the memory and become its feeder."""
    bond = Bond(argv)
    level, ramp_s = int(bond.arguments[0]), float(bond.arguments[1])
    steps = max(1, math.floor(ramp_s / STEP_S))
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.close(writes)
        bond.become(["tail", "-n", "1"], reads=reads)
    os.close(reads)
    bond.say("effective")
    bond.become(["sh", "-c", LEAK, "leak", str(math.ceil(level / steps)), str(steps)], writes=writes)


if __name__ == "__main__":
    main(sys.argv[1:])
