"""Which libraries do the arithmetic; apart, so that the command that only compares them loads nothing else."""

from __future__ import annotations

from functools import lru_cache

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyarrow")


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that do the arithmetic."""
    from importlib.metadata import version

    return {name: version(name) for name in LIBRARIES}
