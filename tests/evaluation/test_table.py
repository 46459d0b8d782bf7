"""All detectors of a run in one table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.leakage import leakage
from tasks.evaluation.table import Evaluation, ScoredDetector, evaluate
from tasks.evaluation.thresholds import Calibration
from tests.evaluation.recording import scores, trial, truth

NOTHING = np.full(60, np.nan)


@pytest.fixture
def table() -> Evaluation:
    """A good detector, the floors random and constant, one that failed and one without calibration."""
    faults = truth(trial("a", 50), trial("b", 100), trial("p", 150, placebo=True), trial("q", 200, placebo=True))
    detectors = [
        ScoredDetector("robust_z", "robust", scores(60), scores(high=((53, 60), (103, 110)))),
        ScoredDetector("random", "floor", scores(60), scores()),
        ScoredDetector("constant", "floor", np.zeros(60), np.zeros(300)),
        ScoredDetector("ocsvm", "kernel", NOTHING, scores(), failure="timed out after 60 s"),
        ScoredDetector("ewma", "residual", NOTHING, scores()),
    ]
    settings = EvaluationConfig(profile="short", false_alarms_per_day=24)
    leak = leakage(np.random.default_rng(0).normal(size=(300, 3)), ["a/x", "a/y", "b/x"], faults)
    return evaluate(detectors, faults, settings, Calibration(24, 5, 3, 1), seed=7, leakage=leak)


def test_every_detector_has_its_row(table):
    """In the order given, with the reason where there are no figures."""
    assert [result.name for result in table.results] == ["robust_z", "random", "constant", "ocsvm", "ewma"]
    assert [result.status == "ok" for result in table.results] == [True, True, True, False, False]
    assert "timed out" in table.results[3].status
    assert "no row with a score" in table.results[4].status
    assert table.results[0].events_detected == 2
    assert table.results[1].seeds == 20


def test_a_constant_score_knows_nothing(table):
    """It never alarms, and its area is the share of positives: the floor of every area."""
    constant = table.results[2]
    faults = truth(trial("a", 50), trial("b", 100))

    assert (constant.events_detected, constant.false_alarms.per_day) == (0, 0)
    assert constant.auc_pr == pytest.approx(32 / (32 + faults.exposed().sum()))


def test_the_table_is_json(table):
    """Nothing that JSON cannot hold; the power line is in it."""
    assert json.loads(json.dumps(table.to_json(), allow_nan=False))["power"]["line"].startswith("2 impact events; recall 2/2")
    assert [row["name"] for row in table.rows()][:2] == ["robust_z", "random"]
