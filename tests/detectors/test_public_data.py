"""A real shop under real stress: what any sound detector must see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tasks.detectors.registry import make

WARM_UP_ROWS = 12


@pytest.fixture(scope="module")
def runs(shared_data):
    """Scenario A by run: load, what was stressed, repetition, rows of CPU and memory."""
    folder = shared_data / "sockshop-locust-udevops"
    if not folder.is_dir():
        pytest.skip("the public recordings of the Sock Shop under stress are absent")
    table = pd.read_csv(folder / "runs.csv")
    metrics = pd.read_parquet(folder / "metrics.parquet")
    names = [name for name in metrics.columns if name.endswith(("_cpu", "_memory", "_memory_rss"))]
    rows = {run: group.sort_values("time")[names].to_numpy(np.float32)[WARM_UP_ROWS:] for run, group in metrics.groupby("run_id")}
    return table, names, rows


def filled(rows, median):
    return np.where(np.isnan(rows), median, rows).astype(np.float32)


def test_robust_z_tells_stressed_runs_from_normal_ones(runs):
    """One model a load level, trained on twenty normal runs: AUC over runs >= .999, and the stressed service on top in >= 98 %."""
    table, names, rows = runs
    services = np.array([name.rsplit("_memory_rss", 1)[0].rsplit("_memory", 1)[0].rsplit("_cpu", 1)[0] for name in names])
    scores, labels, named = [], [], []
    for _, level in table.groupby("users"):
        normal = level[level.behaviour == "baseline"]
        training = np.concatenate([rows[run] for run in normal[normal.repetition <= 20].run_id])
        median = np.nanmedian(training, axis=0)
        fitted = make("robust_z").fit(filled(training, median), resolution=np.full(len(names), 1e-9), seed=0)
        for run in level[(level.behaviour != "baseline") | (level.repetition > 20)].itertuples():
            data = filled(rows[run.run_id], median)
            scores.append(fitted.score(data).mean())
            labels.append(run.behaviour != "baseline")
            if labels[-1]:
                by_column = fitted.contributions(data).mean(axis=0)
                named.append(services[by_column.argmax()] == run.stressed_service)

    assert len(scores) == 140
    assert roc_auc_score(labels, scores) >= 0.999
    assert np.mean(named) >= 0.98
