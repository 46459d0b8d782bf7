"""Stage *train*: one detector, fitted on the rows of the training recordings that are not degraded."""

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.clock import iso
from tasks.base.files import write_json
from tasks.detectors.config import AnyDetector
from tasks.detectors.model_file import save
from tasks.detectors.registry import make
from tasks.features import matrix as matrices
from tasks.features.config import FeaturesConfig
from tasks.features.prepare import learn, prepare
from tasks.stages.featurize import degraded_of, require_rows

SHOWN = 5
"""Stretches of rows left out that a note names."""
_ITEM: TypeAdapter[AnyDetector] = TypeAdapter(AnyDetector)


def compute(job: Job, store: Store, folder: Path) -> tuple[str, ...]:
    """Write ``model.skops`` and ``filling.json``; a note says how many rows were left out."""
    settings = FeaturesConfig.model_validate(job.settings["features"])
    names = sorted(name for name in job.inputs if name.startswith("matrix:"))
    training = [matrices.load(store.open(job.ref(name)).folder) for name in names]
    keep = [~degraded_of(store, job, name) for name in names]
    require_rows(store, job, names, sum(int(rows.sum()) for rows in keep), "training")
    filling = learn(training, keep)
    prepared = [prepare(matrix, filling, settings) for matrix in training]
    usable = [one.scored & kept for one, kept in zip(prepared, keep, strict=True)]
    rows = np.concatenate([one.rows[use] for one, use in zip(prepared, usable, strict=True)])
    require_rows(store, job, names, rows.shape[0], "training")
    detector = make(_ITEM.validate_python(job.settings["detector"]), profile=settings.profile, grid_s=settings.grid_s)
    fitted = detector.fit(rows, resolution=filling.resolution, seed=job.settings["seed"])
    save(fitted, folder / "model.skops")
    write_json(folder / "filling.json", filling.to_json())
    total = sum(matrix.time_s.size for matrix in training)
    if rows.shape[0] == total:
        return ()
    when = [text for matrix, use in zip(training, usable, strict=True) for text in stretches(matrix.time_s[~use], matrix.step_s)]
    shown = ", ".join(when[:SHOWN]) + (f" and {len(when) - SHOWN} more stretches" if len(when) > SHOWN else "")
    return (f"{total - rows.shape[0]} of {total} training rows were degraded or not observed, and left out: {shown}",)


def stretches(time_s: np.ndarray, step_s: float) -> list[str]:
    """Rows ``(n,)`` that follow each other as one stretch each, from its first to its last, in UTC."""
    breaks = np.flatnonzero(np.diff(time_s) > 1.5 * step_s) + 1
    found = []
    for part in np.split(time_s, breaks) if len(time_s) else ():
        first, last = iso(float(part[0])) or "", iso(float(part[-1])) or ""
        found.append(first if len(part) == 1 else f"{first} to {last[11:]}")
    return found
