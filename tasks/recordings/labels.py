"""``labels.csv``: the ground truth beside the data, for whoever opens the folder with pandas or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tasks.base.files import write_atomically, write_json
from tasks.base.trials import Trial

WINDOWS = ("requested", "acknowledged", "first_effect", "revert_requested", "reverted", "back_to_normal")
HEADER = ("fault_id", "kind", "target", "intensity", "placebo", "benign", "outcome", *WINDOWS)


def labels_csv(trials: Sequence[Trial]) -> str:
    """One row a trial; times in ISO 8601 (UTC), an empty cell for what did not happen."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for trial in trials:
        windows = trial.windows.to_json()
        writer.writerow(
            [
                trial.id,
                trial.kind,
                trial.target,
                f"{trial.intensity:g}",
                str(trial.placebo).lower(),
                str(trial.benign).lower(),
                trial.outcome or "",
                *(windows[name] or "" for name in WINDOWS),
            ]
        )
    return out.getvalue()


def write_labels(folder: Path, trials: Sequence[Trial]) -> None:
    """Put ``labels.csv`` and ``faults.json`` into *folder*."""
    write_atomically(folder / "labels.csv", labels_csv(trials))
    write_json(folder / "faults.json", [trial.to_json() for trial in trials])
