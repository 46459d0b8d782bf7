"""Measures on 100,000 rows with 20 anomalies: VUS-PR exact and sampled, and everything that one detector is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.curves import average_precision
from tasks.evaluation.detector import evaluate_detector
from tasks.evaluation.result import DetectorResult
from tasks.evaluation.thresholds import calibrate
from tasks.evaluation.truth import Truth
from tasks.evaluation.volume import SAMPLED_THRESHOLDS, vus_pr
from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.slow_volume import slow_vus_pr
from tests.bench.stopwatch import in_turn, machine, versions
from tests.evaluation.plain_vus import plain_vus_pr

ROWS, ANOMALIES, LENGTH, BUFFER = 100_000, 20, 60, 100
TOLERANCE = 1e-9
ROUNDS = 9
GOAL = Goal("<=", 1.0, "ratio")


@dataclass(frozen=True, slots=True)
class Case:
    """Labels and scores of rows a second apart."""

    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]


def drawn(rng: np.random.Generator, rows: int, anomalies: int, length: int) -> Case:
    """Runs of *length* rows, evenly spread, whose scores are shifted by one and a half standard deviations."""
    labels = np.zeros(rows, dtype=bool)
    for start in np.linspace(rows * 0.02, rows * 0.95, anomalies).astype(int):
        labels[start : start + length] = True
    return Case(labels, rng.normal(size=rows) + 1.5 * labels)


def equal_to_the_definition(case: Case, thresholds: int | None) -> bool:
    """Whether our volume is the slow one on *case*, and the slow one the plainly written one on a small case."""
    small = drawn(np.random.default_rng(4), 300, 3, 12)
    plain = plain_vus_pr(small.labels.astype(int).tolist(), small.scores.tolist(), 20, thresholds)
    slow = slow_vus_pr(case.labels, case.scores, BUFFER, thresholds)
    found = vus_pr(case.labels, case.scores, BUFFER, thresholds=thresholds)
    if found is None:
        return False
    return abs(found - slow) <= TOLERANCE and abs(slow_vus_pr(small.labels, small.scores, 20, thresholds) - plain) <= TOLERANCE


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time, against scikit-learn's area under the precision-recall curve of the same rows."""
    case = drawn(np.random.default_rng(3), ROWS, ANOMALIES, LENGTH)

    def theirs() -> Any:
        return average_precision_score(case.labels, case.scores)

    for name, thresholds in (("measures.vus_exact_1e5", None), ("measures.vus_sampled_1e5", SAMPLED_THRESHOLDS)):
        if name in only:
            ours, peer = in_turn(lambda cut=thresholds: vus_pr(case.labels, case.scores, BUFFER, thresholds=cut), theirs, rounds=ROUNDS)
            same_area = abs((average_precision(case.labels, case.scores) or 0.0) - peer.result) <= TOLERANCE
            sound = equal_to_the_definition(case, thresholds) and same_area
            call = f"{versions('scikit-learn')}: average_precision_score(labels, scores)"
            yield made(name, ours.cpu, "cpu s", machine=machine(), goal=GOAL, peer=Peer(call, peer.cpu), sound=sound)
    if "measures.suite_1e5" in only:
        yield suite(case)


def suite(case: Case) -> Row:
    """Alarms, events, intervals, AUC-PR, both volumes, range scores: :func:`evaluate_detector` as a run calls it."""
    times = 1e9 + np.arange(ROWS, dtype=float)
    edges = np.flatnonzero(np.diff(case.labels.astype(np.int8), prepend=0) == 1)
    trials = [_trial(f"t{number}", float(times[start])) for number, start in enumerate(edges)]
    truth = Truth.of(times, trials, grace_s=7.0)
    settings = EvaluationConfig(profile="long", false_alarms_per_day=24.0)
    quiet = np.random.default_rng(5).normal(size=ROWS)
    threshold = calibrate(quiet, budget_per_day=24.0, rate_window_s=5.0, persistence_s=3.0, step_s=1.0)

    def act() -> DetectorResult:
        return evaluate_detector("x", "y", case.scores, threshold, truth, settings)

    (taken,) = in_turn(act, rounds=5)
    kept = truth.labels() | truth.exposed()
    area = average_precision_score(truth.labels()[kept], case.scores[kept])
    sound = taken.result.impact_events == ANOMALIES and abs((taken.result.auc_pr or 0.0) - area) <= TOLERANCE
    return made("measures.suite_1e5", taken.cpu, "cpu s", machine=machine(), sound=sound)


def _trial(name: str, at_s: float) -> Trial:
    end_s = at_s + LENGTH
    windows = Windows(at_s, at_s, at_s + 1, end_s, end_s, end_s)
    return Trial(name, "cpu_hog", "orders", 1.0, False, float(LENGTH), windows, Outcome.IMPACT)
