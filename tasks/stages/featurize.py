"""Stage *featurize*: the samples of one recording to a matrix on a regular grid, with its degraded rows marked."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.clock import from_iso
from tasks.base.errors import IncompleteError, PreflightError
from tasks.base.files import read_json, write_json
from tasks.base.parquet import read_table, write_table
from tasks.features import matrix as matrices
from tasks.features.build import build
from tasks.features.catalogue import read_catalogue
from tasks.features.config import MIN_ROWS, FeaturesConfig
from tasks.features.coverage import coverage
from tasks.telemetry.samples import read_series


def compute(job: Job, store: Store, folder: Path) -> tuple[str, ...]:
    """
    Write the matrix, and beside it ``rows.parquet`` (``time_s``, ``degraded``) and ``degraded.json`` (seconds by reason).

    With an input ``columns`` the matrix gets exactly the columns of that one, absent series wholly masked.
    """
    settings = FeaturesConfig.model_validate(job.settings["features"])
    recording = store.open(job.ref("recording")).folder
    facts = read_json(recording / "recording.json")
    columns = matrices.load(store.open(job.ref("columns")).folder).columns if "columns" in job.inputs else None
    made = build(recording, settings, start_s=from_iso(facts["start"]), end_s=from_iso(facts["end"]), columns=columns)
    if columns is None and not made.columns:
        raise nothing_known(recording, settings, job.stage.partition(":")[2])
    matrices.save(made, folder)
    bad = read_json(recording / "degraded.json")
    reach_s = max(made.step_s, settings.rate_window_s)
    degraded = degraded_rows(made.time_s, np.array([entry["second"] for entry in bad], dtype=np.int64), reach_s)
    write_table(folder / "rows.parquet", pa.table({"time_s": made.time_s, "degraded": degraded}))
    write_json(folder / "degraded.json", dict(Counter(reason for entry in bad for reason in entry["reasons"])))
    lost = [column.name for column, seen in zip(made.columns, np.asarray(made.valid.any(axis=0)), strict=True) if not seen]
    return (f"{len(lost)} columns have no value at all: {', '.join(lost[:8])}",) if lost else ()


def nothing_known(recording: Path, settings: FeaturesConfig, name: str) -> PreflightError:
    """The refusal of a *recording* whose metrics the catalogue does not know; says what it has."""
    found = coverage(read_series(recording), read_catalogue(settings.catalogue))
    return PreflightError(
        f"the catalogue {settings.catalogue} knows none of the metrics of recording {name}: {found.listing or 'it has no sample'}",
        next_step="write a catalogue that does (docs/how-to/add-a-metric.md), then add --set features.catalogue=NAME",
    )


def degraded_rows(time_s: np.ndarray, seconds: np.ndarray, reach_s: float) -> np.ndarray:
    """Which rows ``(n,)`` look at a degraded second: the rates of row t look at (t - *reach_s*, t], second s is [s, s + 1)."""
    ordered = np.sort(seconds)
    after = np.searchsorted(ordered, time_s, side="left")
    before = np.searchsorted(ordered, time_s - reach_s - 1.0, side="right")
    return np.asarray(after > before)


def degraded_of(store: Store, job: Job, name: str) -> np.ndarray:
    """The degraded rows ``(n,)`` of the matrix that *job* calls *name*."""
    return np.asarray(read_table(store.open(job.ref(name)).file("rows.parquet")).column("degraded").to_numpy(zero_copy_only=False))


def require_rows(store: Store, job: Job, names: list[str], usable: int, role: str) -> None:
    """
    Refuse to learn from next to nothing.

    Raises:
        IncompleteError: Fewer than MIN_ROWS rows of the recordings of *role* are usable; says why.
    """
    if usable >= MIN_ROWS:
        return
    reasons: Counter[str] = Counter()
    for name in names:
        reasons.update(read_json(store.open(job.ref(name)).file("degraded.json")))
    why = ", ".join(f"{reason} in {count} s" for reason, count in reasons.most_common()) or "too short, or too much was not observed"
    first = names[0].removeprefix("matrix:")
    raise IncompleteError(
        f"only {usable} seconds of the {role} recordings can be used ({why})",
        next_step=f"close other programs or record longer, then: tidegauge run FILE --refresh recording:{first}",
    )
