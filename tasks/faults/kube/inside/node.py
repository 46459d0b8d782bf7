"""
The program of the pod on a node: it needs python3 and iptables, nothing else.

It acts on the network or on the processes of one container, says ``effective``, and ends everything when its time is over or it
is told to; then it says ``over``, and what is left.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tasks.faults.kube.inside.packets import Held, Rules
from tasks.faults.kube.inside.pause import Pause
from tasks.faults.kube.inside.words import Told, deaf, raise_when_told, say

TICK_S = 0.1
ACTS: dict[str, type[Rules] | type[Pause]] = {"hold": Held, "drop": Rules, "reset": Rules, "clean": Rules, "pause": Pause}


def main(order: dict[str, Any]) -> int:
    """Act until the time is over; 0: nothing is left of it."""
    raise_when_told()
    act: Rules | Pause | None = None
    why, code = "its stated end", 0
    try:
        act = ACTS[order["mode"]](order)
        if order["mode"] != "clean":
            act.begin()
            until_s = time.monotonic() + order["seconds"]
            say("effective")
            while (now_s := time.monotonic()) < until_s:
                act.turn(min(until_s, now_s + TICK_S))
    except Told as error:
        why = str(error)
    except (OSError, LookupError, ValueError) as error:
        why, code = f"failed: {error}", 1
    deaf()
    left = [] if act is None else act.end()
    say("over", why=why, left=left)
    return 1 if left else code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
