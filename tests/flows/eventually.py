"""Waiting for something to become true, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T | None], limit_s: float, otherwise: str, every_s: float = 0.1) -> T:
    """What *look* says once it says something true; *otherwise* when it does not within *limit_s*."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise} (waited {limit_s:g} s)")
        time.sleep(every_s)
    return found
