"""What the journal of faults knows and the runner did not live to write down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.base.trials import Trial, Windows
from tasks.faults.catalogue import kinds_for
from tasks.faults.journal import Journal, JournalEntry


def with_journal(trials: Sequence[Trial], state_dir: Path) -> list[Trial]:
    """
    *trials*, and after them the faults of the journal in *state_dir* that are not among them, with the windows they really had.

    A recording that is stopped during a fault, or while waiting for its effects to fade, has such a fault.
    """
    known = {trial.id for trial in trials}
    return [*trials, *(_trial(entry) for entry in Journal(state_dir).read().entries.values() if entry.id not in known)]


def _trial(entry: JournalEntry) -> Trial:
    windows = Windows(
        requested=entry.wall_s("planned") or 0.0,
        acknowledged=entry.wall_s("acknowledged"),
        revert_requested=entry.wall_s("revert_requested"),
        reverted=entry.wall_s("reverted"),
    )
    note = "the recording was stopped before it was over"
    named = (entry.id, entry.kind, entry.target, entry.intensity, entry.placebo, entry.duration_s)
    kind = kinds_for("local" if entry.place == "processes" else "kubernetes").get(entry.kind)
    return Trial(*named, windows, note=note, benign=kind is not None and kind.benign and not entry.placebo)
