"""Stage *rank*: which service and which metric a fault came from, at its injection and at the detector's own onset."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.files import read_json, write_json
from tasks.base.trials import Trial
from tasks.evaluation.config import grace_s
from tasks.features import matrix as matrices
from tasks.features.config import FeaturesConfig
from tasks.features.prepare import learn
from tasks.rootcause.config import RankingConfig
from tasks.rootcause.model import Edge, Observed
from tasks.rootcause.ranking import Ranker
from tasks.rootcause.trials import rank_trials
from tasks.stages.featurize import degraded_of

NAMED = 12
"""Services that a note names."""
NO_EDGES = "no call edges are known: evidence of edges is off, and what a service measures of requests counts as its own"


def compute(job: Job, store: Store, folder: Path) -> tuple[str, ...]:
    """Write ``ranking.json``: ``ranking`` (the public rows), ``cases`` of each recording of faults, ``notes`` (what was left out)."""
    settings = RankingConfig.model_validate_json(json.dumps(job.settings["ranking"]))
    features = FeaturesConfig.model_validate(job.settings["features"])
    history, facts = _history(job, store)
    ranker = Ranker.learn(history, [Edge(*edge) for edge in facts["edges"]], settings)
    evaluation = read_json(store.open(job.ref("evaluation")).file("evaluation.json"))
    onsets = own_onsets(evaluation, settings.detector)
    rows, cases, unknown = [], [], set[str]()
    for name in _named(job, "faults"):
        observed = _observed(job, store, name, history.resolution)
        trials = [Trial.from_json(item) for item in read_json(store.open(job.ref(f"recording:{name}")).file("faults.json"))]
        unknown |= {trial.target for trial in trials if not trial.placebo} - set(ranker.candidates)
        found = rank_trials(ranker, observed, trials, own_onsets=onsets, grace_s=grace_s(features.rate_window_s, features.grid_s))
        rows += [row.public_row() for row in found.rows]
        cases += [case.to_json() for case in found.cases]
    told = notes(ranker, unknown)
    content = {"format": "ranking/1", "ranking": rows, "cases": cases, "detector": settings.detector, "notes": list(told)}
    write_json(folder / "ranking.json", content)
    return told


def notes(ranker: Ranker, unknown: Collection[str]) -> tuple[str, ...]:
    """Sentences on what the rankings could not use: *unknown* are targets that no column is about."""
    edges = () if ranker.edges else (NO_EDGES,)
    known = ", ".join(ranker.candidates[:NAMED]) + (f" and {more} more" if (more := len(ranker.candidates) - NAMED) > 0 else "")
    return edges + tuple(
        f"{target} is no service of the training recording, so no ranking can name it; its services are {known or 'none'}"
        for target in sorted(unknown)
    )


def own_onsets(evaluation: dict[str, Any], detector: str) -> dict[str, float | None]:
    """When the alarm of *detector* opened, by trial; None: a miss."""
    for row in evaluation["results"]:
        if row["name"] == detector:
            return {item["trial"]: item["opened_s"] for item in row["detections"]}
    return {}


def _named(job: Job, role: str) -> list[str]:
    return [name for name, one in job.settings["roles"].items() if one == role and f"matrix:{name}" in job.inputs]


def _history(job: Job, store: Store) -> tuple[Observed, dict[str, Any]]:
    """The training recordings, end to end, degraded rows masked; and the facts of the first."""
    names = _named(job, "training")
    made = [matrices.load(store.open(job.ref(f"matrix:{name}")).folder) for name in names]
    keep = [~degraded_of(store, job, f"matrix:{name}") for name in names]
    filling = learn(made, keep)
    values = np.concatenate([np.where(rows[:, None], one.values, np.nan) for one, rows in zip(made, keep, strict=True)])
    columns = made[0].columns
    observed = Observed.of(
        np.concatenate([one.time_s for one in made]),
        values,
        ~np.isnan(values),
        services=[column.service for column in columns],
        metrics=[column.metric for column in columns],
        resolution=filling.resolution,
    )
    return observed, dict(read_json(store.open(job.ref(f"recording:{names[0]}")).file("recording.json")))


def _observed(job: Job, store: Store, name: str, resolution: np.ndarray) -> Observed:
    made = matrices.load(store.open(job.ref(f"matrix:{name}")).folder)
    services, metrics = [column.service for column in made.columns], [column.metric for column in made.columns]
    return Observed.of(made.time_s, made.values, made.valid, services=services, metrics=metrics, resolution=resolution)
