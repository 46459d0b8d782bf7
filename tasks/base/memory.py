"""Giving memory back: glibc keeps what was freed for later, which in a long copy adds up to far more than is in use."""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""None where the C library is another one."""


def give_back() -> None:
    """Return freed memory to the system; about a millisecond."""
    if _trim is not None:
        _trim(0)
