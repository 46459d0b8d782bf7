"""Faults that had no effect never become events, labels or false alarms."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.detector import evaluate_detector
from tasks.evaluation.thresholds import Threshold
from tasks.evaluation.truth import Truth

TRIES = 200
SETTINGS = EvaluationConfig(profile="short", false_alarms_per_day=24)
THRESHOLD = Threshold(1.0, True, None, 100, "empirical", 0.1)


def _recording(rng: random.Random) -> list[Trial]:
    """Eight trials; some injectors did nothing."""
    trials, at = [], rng.uniform(20, 40)
    for number in range(8):
        outcome = rng.choice([Outcome.IMPACT, Outcome.NOT_INJECTED, Outcome.INJECTED_NO_IMPACT])
        back = None if outcome == Outcome.NOT_INJECTED else at + 11
        windows = Windows(at, at + 0.2, None if back is None else at + 1, at + 8, at + 8.1, back)
        trials.append(Trial(f"t{number}", "cpu_hog", "orders", 0.5, False, 8.0, windows, outcome))
        at += rng.uniform(30, 45)
    return trials


def test_a_fault_without_effect_is_no_event(ledger: Any, rng: random.Random) -> None:
    """An alarm in its window is neither a detection nor a false alarm, and no row of it is labelled."""
    time_s = np.arange(420.0)
    for _ in range(TRIES):
        trials = _recording(rng)
        truth = Truth.of(time_s, trials, grace_s=7)
        void = [t for t in trials if t.outcome != Outcome.IMPACT]
        scores = np.where(truth.within([truth.detection_window(t) for t in void]), 9.0, 0.0)

        row = evaluate_detector("any", "any", scores, THRESHOLD, truth, SETTINGS)
        wrongly = int((truth.labels() & truth.within([truth.detection_window(t) for t in void])).sum())

        survived = (
            wrongly == 0
            and row.impact_events == len(trials) - len(void)
            and not row.events_detected
            and row.false_alarms is not None
            and row.false_alarms.episodes == 0
        )
        ledger.count(row=28, fault="a fault had no effect", where="fake", survived=survived, figure=f"{wrongly} wrongly labelled rows")
        assert survived
    asked = Truth.of(time_s, trials, grace_s=7, also_events=("not-injected", "injected-no-impact"))
    assert len(asked.impacts) == 8
