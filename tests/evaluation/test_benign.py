"""Benign changes: neither faults nor quiet time, and a figure of their own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.trials import Outcome, Trial
from tasks.evaluation.alarms import Alarm
from tasks.evaluation.benign import BenignAlarms, benign_line
from tasks.evaluation.chance import random_row
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.detector import evaluate_detector
from tasks.evaluation.events import ChangeAlarm, change_alarms, detect, placebo_alarms
from tasks.evaluation.leakage import leakage
from tasks.evaluation.result import DetectorResult
from tasks.evaluation.table import ScoredDetector, evaluate
from tasks.evaluation.thresholds import Calibration, Threshold
from tasks.evaluation.truth import Truth
from tests.evaluation.recording import START, scores, trial, truth

SHORT = EvaluationConfig(profile="short", false_alarms_per_day=24)
THRESHOLD = Threshold(1.5, False, 5760.0, 5, "largest", 0.002)
CALIBRATION = Calibration(budget_per_day=24, rate_window_s=5, persistence_s=3, step_s=1)
SPAN_S = 20
"""Requested to back to normal, 12 s, and 7 s of grace, both ends included."""


def change(name: str, at: float, outcome: Outcome = Outcome.BENIGN, back: float | None = 12.0) -> Trial:
    """A rollout, requested at START + *at*."""
    return replace(trial(name, at, kind="rollout", outcome=outcome, back=back), benign=True)


def alarm(opened: float, closed: float) -> Alarm:
    """Open from START + *opened* to START + *closed*."""
    return Alarm(START + opened, START + closed)


def judged(values: np.ndarray, told: Truth) -> DetectorResult:
    """The row of one detector."""
    return evaluate_detector("robust_z", "robust", values, THRESHOLD, told, SHORT)


def test_an_alarm_at_a_benign_change_is_counted_there_and_nowhere_else():
    """No detection, no false alarm of quiet time: one of two changes, with the interval of that share."""
    told = truth(trial("a", 50), change("c", 120), change("d", 200))
    row = judged(scores(high=((53, 60), (125, 135))), told)

    assert (row.impact_events, row.events_detected) == (1, 1)
    assert row.false_alarms.exposure_s == 300 - 3 * SPAN_S
    assert (row.false_alarms.episodes, row.false_alarms.blocks_in_alarm) == (0, 0)
    assert (row.benign.changes, row.benign.alarmed, row.benign.ratio) == (2, 1, 0.5)
    assert row.benign.low == pytest.approx(0.01258, abs=1e-5)
    assert row.benign.high == pytest.approx(0.98742, abs=1e-5)
    assert (row.false_alarms_benign.exposure_s, row.false_alarms_benign.episodes) == (2 * SPAN_S, 1)
    assert row.event_f1 == 1.0


def test_the_same_alarm_in_quiet_time_is_false():
    """What the truth says of the time decides, and nothing else."""
    values = scores(high=((53, 60), (125, 135)))
    row = judged(values, truth(trial("a", 50)))

    assert row.false_alarms.episodes == 1
    assert (row.benign.changes, row.benign.alarmed, row.benign.ratio, row.benign.low) == (0, 0, None, None)
    assert row.event_f1 < 1


@pytest.mark.parametrize(
    ("raised", "alarmed", "opened"),
    [
        ((119, 120), False, None),
        ((119, 121), True, None),
        ((120, 125), True, 120),
        ((139, 150), True, 139),
        ((140, 150), False, None),
        ((0, 300), True, None),
    ],
)
def test_the_whole_span_is_looked_at(raised: tuple[float, float], alarmed: bool, opened: float | None):
    """[requested, back to normal + grace], ends included; one that was open before counts, as with placebos, and did not open there."""
    (found,) = change_alarms(truth(change("c", 120)), [alarm(*raised)])

    assert (found.alarmed, found.opened_s) == (alarmed, None if opened is None else START + opened)


def test_no_row_is_both_quiet_and_changing():
    """Every row is quiet time, or a fault's, or a benign change's; where a fault and a change meet it is the fault's."""
    told = truth(trial("a", 50), change("c", 60), change("d", 150))
    quiet, changing, fault = told.exposed(), told.changing(), told.within(told.fault_spans())

    assert (quiet.astype(int) + changing + fault == 1).all()
    assert changing[150:170].all()
    assert changing[71:80].all()
    assert not changing[60:70].any()


def test_a_change_that_users_noticed_is_told_and_not_counted():
    """An alarm at it may be right, and silence too."""
    told = truth(change("c", 120), change("hurt", 200, Outcome.BENIGN_IMPACT))
    row = judged(scores(high=((205, 212),)), told)

    assert (row.benign.changes, row.benign.alarmed) == (1, 0)
    assert [(one.trial, one.alarmed, one.counted) for one in row.benign.each] == [("c", False, True), ("hurt", True, False)]
    assert row.false_alarms.episodes == 0
    assert row.impact_events == 0


def test_a_change_that_a_fault_reaches_into_is_not_counted():
    """Whose alarm it is, nobody can say."""
    row = judged(scores(high=((125, 132),)), truth(trial("a", 110), change("c", 120)))

    assert (row.benign.changes, row.benign.each[0].counted) == (0, False)
    assert row.events_detected == 1


def test_a_change_that_did_not_take_place_is_void():
    """No change, no event even where void faults are asked for, and no quiet time either."""
    told = replace(
        truth(change("c", 120, Outcome.NOT_INJECTED, back=None), trial("v", 200, outcome=Outcome.NOT_INJECTED)),
        also_events=("not-injected",),
    )
    row = judged(scores(high=((125, 132),)), told)

    assert told.changes == ()
    assert [one.id for one in told.impacts] == ["v"]
    assert row.benign == BenignAlarms(0, 0, None, None)
    assert row.false_alarms.episodes == 0
    assert not told.exposed()[120:137].any()


def test_a_placebo_of_a_benign_kind_is_a_placebo():
    """It is inside quiet time, and an alarm at it is false."""
    pretended = replace(trial("p", 120, placebo=True), kind="rollout")
    told = truth(pretended)
    row = judged(scores(high=((125, 132),)), told)

    assert (row.placebo_alarm_ratio, row.false_alarms.episodes, row.benign.changes) == (1.0, 1, 0)


def test_no_row_of_a_change_stands_beside_a_placebo():
    """The classifier that looks for a leak compares placebos with quiet rows alone: what a rollout does cannot make it doubt them."""
    told = truth(trial("p", 60, placebo=True), change("c", 80), trial("q", 160, placebo=True), change("d", 180))
    values = np.random.default_rng(3).normal(size=(300, 2))
    wild = np.where(told.within(told.change_spans())[:, None], 1e6, values)

    assert leakage(wild, ("a", "b"), told) == leakage(values, ("a", "b"), told)


def test_scores_of_changing_rows_move_no_curve():
    """They are neither positives nor negatives; the alarm is over when the span is."""
    told = truth(trial("a", 50), change("c", 120))
    values = scores(high=((53, 60),))
    wild = np.where(told.changing() & (told.time_s < START + 135), 1e6, values)
    first, second = judged(values, told), judged(wild, told)

    assert (first.auc_pr, first.vus_pr, first.ranges, first.recall) == (second.auc_pr, second.vus_pr, second.ranges, second.recall)
    assert (first.false_alarms, first.event_f1) == (second.false_alarms, second.event_f1)
    assert (first.benign.alarmed, second.benign.alarmed) == (0, 1)


STRETCHES = st.lists(st.tuples(st.integers(0, 590), st.integers(1, 60)), max_size=12)


@given(STRETCHES, st.lists(st.sampled_from([*"fpcv"]), min_size=2, max_size=12), st.integers(25, 50))
def test_without_its_benign_changes_a_plan_finds_the_same_faults(stretches: list[tuple[int, int]], sorts: list[str], apart: int):
    """Whatever the alarms, detections, delays and placebo alarms are those of the plan without them; and no quiet row turns false."""
    made = {
        "f": trial,
        "p": lambda name, at: trial(name, at, placebo=True),
        "c": change,
        "v": lambda name, at: change(name, at, Outcome.NOT_INJECTED, back=None),
    }
    trials = [made[sort](f"t{number}", 5.0 + number * apart) for number, sort in enumerate(sorts)]
    values = scores(600, high=tuple((start, start + length) for start, length in stretches))
    told, without = truth(*trials, rows=600), truth(*(one for one in trials if not one.benign), rows=600)
    one, other = judged(values, told), judged(values, without)

    assert (one.detections, one.events_detected, one.recall) == (other.detections, other.events_detected, other.recall)
    assert (one.masked_events, one.recall_by, one.delay_median_s) == (other.masked_events, other.recall_by, other.delay_median_s)
    assert one.placebos == other.placebos
    assert one.false_alarms.episodes <= other.false_alarms.episodes
    assert one.false_alarms.exposure_s <= other.false_alarms.exposure_s
    assert other.benign.each == ()


@given(st.lists(st.tuples(st.integers(0, 290), st.integers(1, 60)), max_size=6))
def test_a_benign_change_is_judged_as_a_placebo_in_the_same_rows_or_stricter(stretches: list[tuple[int, int]]):
    """Its span holds a placebo's window, so that what is an alarm there is one here."""
    raised = [alarm(start, start + length) for start, length in stretches]
    (benign,) = change_alarms(truth(change("c", 120)), raised)
    (pretended,) = placebo_alarms(truth(trial("p", 120, placebo=True)), raised)

    assert benign.alarmed >= pretended.alarmed
    assert detect(truth(change("c", 120)), raised) == ()


def test_the_random_row_has_the_mean_of_its_seeds():
    """A share like any other's, that need not be a whole number; the row keeps no list."""
    told = truth(trial("a", 50), change("c", 120), change("d", 200))
    known = np.ones(300, dtype=bool)
    settings = EvaluationConfig(profile="short", false_alarms_per_day=86_400, random_seeds=7)
    row = random_row(CALIBRATION, told, settings, scored_in_calibration=known, scored=known, seed=3)

    assert row.benign.changes == 2
    assert 0 <= row.benign.alarmed <= 2
    assert row.benign.each == ()
    assert BenignAlarms.averaged([BenignAlarms(2, 1, 0.0, 1.0), BenignAlarms(2, 2, 0.0, 1.0)]).alarmed == 1.5


def test_a_detector_without_a_result_still_knows_how_many_there_were():
    """The count is the plan's; the alarms are undefined."""
    told = truth(trial("a", 50), change("c", 120))
    lost = ScoredDetector("kmeans", "cluster", np.zeros(300), np.zeros(300), failure="timed out")
    (row,) = evaluate([lost], told, SHORT, CALIBRATION, seed=1).results
    public = row.public_row()

    assert (public["benign_changes"], public["benign_changes_alarmed"], public["benign_alarm_ratio"]) == (1, None, None)
    json.dumps(row.to_json(), allow_nan=False)


def test_the_sentence_under_the_table():
    """Counts by detector, and what was left out; nothing without a change."""
    told = truth(change("c", 120), change("d", 160), change("hurt", 220, Outcome.BENIGN_IMPACT))
    loud, quiet = judged(scores(high=((125, 132),)), told), replace(judged(scores(), told), name="ewma")

    assert benign_line([loud, quiet]) == (
        "benign changes with an alarm, neither detections nor false alarms of quiet time: robust_z 1/2, ewma 0/2; "
        "1 more does not count: users noticed, or a fault reached into it"
    )
    assert benign_line([judged(scores(), truth(change("hurt", 220, Outcome.BENIGN_IMPACT)))]) == (
        "1 benign change took place, and does not count: users noticed, or a fault reached into it"
    )
    assert benign_line([judged(scores(), truth(trial("a", 50)))]) is None


def test_a_record_is_json():
    """All that is known of each."""
    assert ChangeAlarm("c", "rollout", "orders", True, None, True).to_json() == {
        "trial": "c",
        "kind": "rollout",
        "target": "orders",
        "alarmed": True,
        "opened_s": None,
        "counted": True,
    }
