"""Stage *score*: scores of one fitted detector on every recording it was not trained on, before any threshold exists."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.files import read_json
from tasks.base.parquet import write_table
from tasks.detectors.model_file import load
from tasks.features import matrix as matrices
from tasks.features.config import FeaturesConfig
from tasks.features.prepare import Filling, prepare

TOP = 5
"""Columns kept of each row's contributions."""


def compute(job: Job, store: Store, folder: Path) -> None:
    """
    Write ``RECORDING.parquet``: ``time_s`` and ``score`` (NaN: no score).

    Where the detector can say, also the five columns that contribute most (``top_1`` ...: column index, ``share_1`` ...).
    """
    settings = FeaturesConfig.model_validate(job.settings["features"])
    model = store.open(job.ref("model"))
    filling = Filling.from_json(read_json(model.file("filling.json")))
    fitted = load(model.file("model.skops"))
    for name in sorted(job.inputs):
        if not name.startswith("matrix:"):
            continue
        prepared = prepare(matrices.load(store.open(job.ref(name)).folder), filling, settings)
        scores = np.where(prepared.scored, fitted.score(prepared.rows), np.nan)
        table: dict[str, np.ndarray] = {"time_s": prepared.time_s, "score": scores}
        table |= _largest(fitted.contributions(prepared.rows))
        write_table(folder / f"{name.removeprefix('matrix:')}.parquet", pa.table(table))


def _largest(parts: np.ndarray | None) -> dict[str, np.ndarray]:
    if parts is None:
        return {}
    kept = min(TOP, parts.shape[1])
    order = np.argsort(-parts, axis=1, kind="stable")[:, :kept]
    total = np.maximum(np.abs(parts).sum(axis=1), 1e-300)
    result: dict[str, np.ndarray] = {}
    for rank in range(kept):
        chosen = order[:, rank]
        result[f"top_{rank + 1}"] = chosen.astype(np.int32)
        result[f"share_{rank + 1}"] = np.take_along_axis(parts, chosen[:, None], axis=1)[:, 0] / total
    return result
