"""
The two pipes between a guard and its actuator, and what the kernel does when one end closes.

Imports next to nothing: an actuator counts in its target's memory.
"""

from __future__ import annotations

import fcntl
import os
import signal

F_SETSIG = 10  # linux/fcntl.h; the module fcntl does not name it everywhere


def leash_path(folder: str, fault: str) -> str:
    """The pipe whose closing is the message."""
    return f"{folder}/{fault}.leash"


def word_path(folder: str, fault: str) -> str:
    """The pipe that carries the actuator's words."""
    return f"{folder}/{fault}.word"


def let_go_when_closed(handle: int, group: int) -> None:
    """Have the kernel send SIGCONT to process group *group* when the other end of *handle* closes."""
    try:
        fcntl.fcntl(handle, fcntl.F_SETOWN, -group)
    except ProcessLookupError:
        return  # the group is gone: nobody is left to let go
    fcntl.fcntl(handle, F_SETSIG, signal.SIGCONT)
    fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_ASYNC)
