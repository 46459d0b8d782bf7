"""Which libraries do the arithmetic; apart, so that the command that only compares them loads nothing else."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow")


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that do the arithmetic."""
    return {name: _by_folder(name) or _by_metadata(name) for name in LIBRARIES}


def _by_folder(name: str) -> str | None:
    """From the name of the folder that an installer left, as ``numpy-2.3.5.dist-info``; None unless there is exactly one."""
    pattern = f"{name.replace('-', '_')}-*.dist-info"
    found = {
        path.name.removesuffix(".dist-info").rpartition("-")[2] for place in dict.fromkeys(sys.path) for path in Path(place).glob(pattern)
    }
    return found.pop() if len(found) == 1 else None


def _by_metadata(name: str) -> str:
    from importlib.metadata import version

    return version(name)
