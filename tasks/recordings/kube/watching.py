"""The cluster watched beside a Prometheus: two processes that are one source to the recorder, and what is left of them in the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.base.stopping import sheltered
from tasks.telemetry.kube.beside import EVENTS, FOLDER
from tasks.telemetry.kube.journal import NAME
from tasks.telemetry.runner import Collector

KEPT = {NAME: NAME, "collector-events.jsonl": EVENTS}
"""What of the watching process' folder stays, and under which name: its samples are in the recording's own chunks."""


class Accompanied(Collector):
    """A collector, and another one that watches the cluster: whichever dies is started again."""

    watch: Collector | None = None

    def keep(self) -> bool:
        """See :meth:`Collector.keep`, of either."""
        again = self.watch is not None and self.watch.keep()
        return super().keep() or again


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """For as long as both collectors of the recording in *folder* run; then what happened stands beside its samples."""
    try:
        yield
    finally:
        with sheltered():
            settled(folder)


def settled(folder: Path) -> None:
    """Move what stays out of the watching process' folder, and drop that; does nothing the second time."""
    for name, kept in KEPT.items():
        path = folder / FOLDER / name
        if path.is_file():
            path.replace(folder / kept)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
