"""Memory that was freed: allocators keep it for later, which in a long copy adds up to far more than is in use."""

from __future__ import annotations

import ctypes
import gc
import os

_library = ctypes.CDLL(None)
_trim, _option = getattr(_library, "malloc_trim", None), getattr(_library, "mallopt", None)
"""None where the C library is another one."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_BYTES, TOP_BYTES = 32 << 20, 256 << 20


def copying_arrays() -> None:
    """
    For a process that copies by batches of arrays: a batch is made in what the one before it has freed, until :func:`give_back`.

    Otherwise each larger array has fresh pages of the system, which cost as much as what is done with them. Arrow and numpy must not have
    been imported yet. Arrow allocates the same way: its own allocators keep 20 MB more for later. Numpy starts no threads for products
    of matrices, of which there are none here: they would be busy with waiting while the rest is imported.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _option is not None:
        _option(M_MMAP_THRESHOLD, LARGEST_BYTES)
        _option(M_TRIM_THRESHOLD, TOP_BYTES)


def imported() -> None:
    """All modules are there: the garbage collector need not look through what they hold, neither now nor at the end."""
    gc.freeze()


def give_back() -> None:
    """Return freed memory to the system; about a millisecond."""
    if _trim is not None:
        _trim(0)
