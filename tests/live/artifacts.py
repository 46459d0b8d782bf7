"""
What ``make cluster`` has built: found, never made, so that a test may ask for it at any time.

Folders are named ``binaries-<digest of the recipe>-<version of Go>`` and ``images-<digest>``. Where Go is not installed (any
more), what any version of it built from this recipe will do.
"""

from __future__ import annotations

from pathlib import Path

from tests.live.cache import cache_root, digest_of
from tests.live.images import images_name
from tests.live.toolchain import go_version

PROGRAMS = ("kn", "coredns", "prometheus")


def binaries_name(go: str) -> str:
    """Name of the folder of programs that *go* (such as ``go1.26.8``) builds from the recipe as it is now."""
    return f"binaries-{digest_of('binaries')}-{go}"


def binaries() -> Path | None:
    """The folder with ``kn`` and its links, ``coredns`` and ``prometheus``; None when ``make cluster`` has not made it."""
    go = go_version()
    wanted = [cache_root() / binaries_name(go)] if go else sorted(cache_root().glob(binaries_name("go*")))
    return next((folder for folder in reversed(wanted) if folder.is_dir() and not folder.name.endswith(".part")), None)


def prometheus_binary() -> Path | None:
    """The Prometheus of the recipe; None when ``make cluster`` has not built it."""
    folder = binaries()
    return None if folder is None else folder / "prometheus"


def images() -> Path | None:
    """The folder with ``images.tar`` for the programs of ``binaries``; None when ``make cluster`` has not made it."""
    programs = binaries()
    if programs is None:
        return None
    folder = cache_root() / images_name(programs)
    return folder if folder.is_dir() else None
