"""
Hold more and more memory inside a service's process group: ``... BYTES RAMP_S``.

The amount grows in a straight line to BYTES within RAMP_S seconds and is held until the end; every page is written to. BYTES
0 is the pretended leak. The memory is gone with the process.
"""

from __future__ import annotations

import mmap
import sys
import time

from tasks.faults.actuators.bond import Bond

STEP_S = 0.1
_PATTERN = bytes(range(1, 256)) * 257


def main(argv: list[str]) -> None:
    """Grow, hold, end."""
    bond = Bond(argv)
    level, ramp_s = int(bond.arguments[0]), float(bond.arguments[1])
    held: list[mmap.mmap] = []
    total, start = 0, time.monotonic()
    bond.say("effective")
    while bond.holds():
        wanted = int(level * min(1.0, (time.monotonic() - start + STEP_S) / ramp_s))
        if wanted - total >= mmap.PAGESIZE:
            held.append(block(wanted - total))
            total = wanted
        bond.sleep(STEP_S)
    held.clear()
    bond.say("ended")


def block(size: int) -> mmap.mmap:
    """Private memory of *size* bytes, each page written to."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, size, len(_PATTERN)):
        part = _PATTERN[: size - start]
        memory[start : start + len(part)] = part
    return memory


if __name__ == "__main__":
    main(sys.argv[1:])
