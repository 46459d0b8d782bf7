"""Stage *train*: one detector, fitted on the rows of the training recordings that are not degraded."""

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.files import write_json
from tasks.caching import stage
from tasks.detectors.config import AnyDetector
from tasks.detectors.model_file import save
from tasks.detectors.registry import make
from tasks.features import matrix as matrices
from tasks.features.config import FeaturesConfig
from tasks.features.prepare import learn, prepare
from tasks.featurize import degraded_of, require_rows

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
    return (
        (f"{total - rows.shape[0]} of {total} training rows were degraded or not observed, and left out",) if rows.shape[0] < total else ()
    )


train = stage("train", compute)
