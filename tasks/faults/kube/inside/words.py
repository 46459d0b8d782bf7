"""What the programs that run inside the cluster have in common: they speak in lines of JSON, and end when they are told to."""

from __future__ import annotations

import json
import signal
import time
from typing import Any


class Told(Exception):
    """A signal asked for the end."""


def say(word: str, **facts: Any) -> None:
    """One line of JSON, with the clock of the node."""
    print(json.dumps({"said": word, "wall_s": time.time(), **facts}), flush=True)  # noqa: T201 -- the pod's log is how it answers


def raise_when_told() -> None:
    """Have the usual signals raise :class:`Told`."""

    def told(signum: int, _: object) -> None:
        raise Told(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, told)


def deaf() -> None:
    """From now on nobody can interrupt."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
