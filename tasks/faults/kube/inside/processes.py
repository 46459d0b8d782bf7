"""The processes of a container, as its node sees them."""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


def members(*words: str) -> list[int]:
    """Processes with one of these words in the path of their control group: the id of a container, or of a pod."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 -- names alone
        try:
            with open(f"/proc/{name}/cgroup") as file:  # noqa: PTH123 -- without imports that cost memory on the node
                path = file.read()
                if any(word in path for word in words):
                    found.append(int(name))
        except OSError:
            continue
    return found


def called(result: int, what: str) -> int:
    """What a C function returned, unless that means trouble."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
