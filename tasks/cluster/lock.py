"""One supervisor a state folder: a lock that the kernel frees when its holder ends, however that happens."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOCK_FILE = "supervisor.lock"


def take_lock(state_dir: Path) -> int | None:
    """A descriptor that holds the lock of *state_dir* while it is open here or in a child; None: another one holds it."""
    handle = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
