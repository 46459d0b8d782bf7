"""What a collecting process says of itself while it works: ``collector.json`` and ``collector-events.jsonl`` in its folder."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock
from tasks.base.files import canonical_json, storage_error, write_json


@dataclass(slots=True)
class Heartbeat:
    """Writes both files; opening it removes what a killed predecessor left half written."""

    folder: Path
    clock: Clock
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Note when it began."""
        self.started_s = self.clock.wall_s()
        for torn in self.folder.glob(".collector.json.*.tmp"):
            torn.unlink()

    def event(self, kind: str, **facts: Any) -> None:
        """
        Add an event.

        Raises:
            StorageError: No space is left.
        """
        path = self.folder / "collector-events.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(canonical_json({"time_s": round(self.clock.wall_s(), 3), "kind": kind, **facts}) + "\n")
        except OSError as error:
            raise storage_error(error, path) from error

    def say(self, facts: Mapping[str, Any], *, alive: bool) -> None:
        """
        Tell how it is now.

        Raises:
            StorageError: No space is left.
        """
        usage = resource.getrusage(resource.RUSAGE_SELF)
        write_json(
            self.folder / "collector.json",
            {
                "alive": alive,
                "started_s": self.started_s,
                "written_s": self.clock.wall_s(),
                **facts,
                "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
                "rss_bytes": resident_bytes(),
            },
        )


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
