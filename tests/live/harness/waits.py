"""Waiting for a condition, never for a time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from tasks.base.errors import TidegaugeError


def until(check: Callable[[], bool], within_s: float, what: str, *, every_s: float = 0.05) -> None:
    """
    Wait until *check* holds.

    Raises:
        TidegaugeError: It does not within *within_s*; *what* says what was waited for.
    """
    last_s = time.monotonic() + within_s
    while not check():
        if time.monotonic() > last_s:
            raise TidegaugeError(f"{what}: not so after {within_s:g} s")
        time.sleep(every_s)


def holds(check: Callable[[], bool], within_s: float, *, every_s: float = 0.05) -> bool:
    """Whether *check* holds at some time within *within_s*."""
    last_s = time.monotonic() + within_s
    while not (found := check()) and time.monotonic() < last_s:
        time.sleep(every_s)
    return found


def succeeds(argv: Sequence[str]) -> bool:
    """Whether a program ends with 0; what it prints is dropped."""
    return subprocess.run(list(argv), capture_output=True, check=False, timeout=30).returncode == 0
