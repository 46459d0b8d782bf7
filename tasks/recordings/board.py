"""What a recording under way says of itself, in ``progress.json`` of its deployment, for whoever asks for the status."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import StorageError
from tasks.base.files import read_json, write_json
from tasks.base.progress import Progress, Report
from tasks.faults.schedule import PlannedTrial
from tasks.load.runner import LoadStatus

FILE = "progress.json"
EVERY_S = 1.0


@dataclass(slots=True)
class Board:
    """Passes reports on, and writes the newest down at most once a second."""

    state_dir: Path
    report: Report
    clock: Clock
    facts: dict[str, Any]
    """What stays the same: name, role, planned length, folder of the samples."""
    trials: Sequence[PlannedTrial] = ()
    load: Callable[[], LoadStatus] | None = None
    measured_since_s: float | None = None
    """Wall time at which the recording began to count."""
    begun: Sequence[str] = ()
    """Ids of the trials that were begun."""
    _written_s: float = field(default=-EVERY_S)

    def __call__(self, progress: Progress) -> None:
        """Take a report."""
        self.report(progress)
        now = self.clock.monotonic_s()
        if now - self._written_s < EVERY_S or not self.state_dir.is_dir():
            return
        self._written_s = now
        write_json(self.state_dir / FILE, self._said(progress))

    def _said(self, progress: Progress) -> dict[str, Any]:
        since = self.measured_since_s
        waiting = next((trial for trial in self.trials if trial.id not in self.begun), None)
        return {
            **self.facts,
            "stage": progress.stage,
            "text": progress.text,
            "written_s": self.clock.wall_s(),
            "measured_s": None if since is None else self.clock.wall_s() - since,
            "next_fault": None
            if waiting is None or since is None
            else {"id": waiting.id, "kind": waiting.kind, "target": waiting.target, "planned_at_s": since + waiting.start_s},
            "load": None if self.load is None else asdict(self.load()),
        }


def read_board(state_dir: Path) -> dict[str, Any] | None:
    """What the recording in *state_dir* said last, with the newest counts of its collector; None: nothing yet."""
    with contextlib.suppress(StorageError):
        said: dict[str, Any] = read_json(state_dir / FILE)
        said["telemetry"] = None
        with contextlib.suppress(StorageError):
            beat = read_json(Path(said["folder"]) / "collector.json")
            said["telemetry"] = {name: beat[name] for name in ("samples", "series", "scrapes", "failed", "missed_ticks", "last_scrape_s")}
        return said
    return None
