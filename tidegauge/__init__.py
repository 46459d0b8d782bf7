"""Tidegauge from Python: the version, and :func:`open_run` for notebooks. Importing it is instant; pandas comes with the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.artifacts.opened import OpenedRun

__all__ = ["__version__", "open_run"]
__version__ = "0.1.0"


def open_run(run: str = "latest", store: str | Path | None = None) -> OpenedRun:
    """
    Open a run for reading; nothing is written.

    Args:
        run: Its id, or ``latest``: the newest one with an evaluation.
        store: The store's folder; None: ``TIDEGAUGE_STORE``, or ``tidegauge-data`` in the working directory.

    Raises:
        DocumentError: There is no such run.
        StorageError: Its record is not what was written.
    """
    from tasks.artifacts.opened import open_run as opened

    return opened(run, store)
