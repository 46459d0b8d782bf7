"""Memory that was freed: allocators keep it for later, which in a long copy adds up to far more than is in use."""

from __future__ import annotations

import ctypes
import os

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""None where the C library is another one."""


def plain_allocator() -> None:
    """
    Let Arrow, which must not have been imported yet, allocate as everything else does.

    Its own allocators keep some 20 MB for later that were freed while Parquet was written, whatever pool is set in Python.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def give_back() -> None:
    """Return freed memory to the system; about a millisecond."""
    if _trim is not None:
        _trim(0)
