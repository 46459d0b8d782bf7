"""What every source of samples is to the recorder, whether it scrapes or exports from a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is, as it said itself when it last committed; times are wall times in seconds."""

    alive: bool
    """Its process runs."""
    chunk: int
    """Newest chunk that is safely on disk; 0 before the first."""
    last_sample_s: float | None
    written_s: float | None
    """When it said so."""
    cpu_s: float
    """CPU time of the process that runs now."""
    rss_bytes: int
    restarts: int
    """How often it had to be started again."""
    down: dict[str, str]
    """Targets that do not answer now, with the reason."""


class TelemetrySource(Protocol):
    """
    A started source that writes a recording's chunks into *out*; all of them pass one contract suite.

    Whatever happens to its process, committed chunks stay readable and series keep their numbers.
    """

    @property
    def out(self) -> Path:
        """The recording's folder."""

    def status(self) -> SourceStatus:
        """How it is; never raises for a dead process."""

    def keep(self) -> bool:
        """
        Start it again when it has died; says whether it had.

        Raises:
            StorageError: It died because the disk is full.
            TidegaugeError: It refused to start; the message is its own.
        """

    def stop(self) -> SourceStatus:
        """Let it flush and end; a second call changes nothing."""
