"""One detector judged as a whole, beside chance."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tasks.base.trials import Outcome
from tasks.evaluation.alarms import alarms
from tasks.evaluation.chance import average, random_row
from tasks.evaluation.comparison import compare
from tasks.evaluation.config import EvaluationConfig, Requirement
from tasks.evaluation.detector import detection_limits, evaluate_detector
from tasks.evaluation.power import apart, power
from tasks.evaluation.pretended import like_chance, pretended_trials
from tasks.evaluation.requirement import shortfall
from tasks.evaluation.result import RecallBy, failed
from tasks.evaluation.thresholds import Calibration, Threshold
from tasks.evaluation.truth import Truth
from tests.evaluation.recording import GRACE_S, scores, trial, truth

SHORT = EvaluationConfig(profile="short", false_alarms_per_day=24)
THRESHOLD = Threshold(1.5, False, 5760.0, 5, "largest", 0.002)
CALIBRATION = Calibration(budget_per_day=24, rate_window_s=5, persistence_s=3, step_s=1)
KEYS = {
    "name",
    "family",
    "impact_events",
    "events_detected",
    "false_alarms_per_day",
    "false_alarms_per_day_low",
    "false_alarms_per_day_high",
    "false_alarm_bound_per_day",
    "budget_supported",
    "time_in_alarm_ratio",
    "delay_median_s",
    "delay_p90_s",
    "auc_pr",
    "vus_pr",
    "placebo_alarm_ratio",
    "benign_changes",
    "benign_changes_alarmed",
    "benign_alarm_ratio",
    "benign_alarm_ratio_low",
    "benign_alarm_ratio_high",
    "load_changing_s",
    "load_steady_s",
    "false_alarms_load_changing_per_day",
    "false_alarms_load_steady_per_day",
    "load_change_ratio",
    "recall_by",
    "status",
}


@pytest.fixture
def faults() -> Truth:
    """Two kinds with impact, one fault without, one placebo."""
    return truth(
        trial("a", 50),
        trial("b", 100, kind="latency", intensity=0.3),
        trial("c", 150, outcome=Outcome.INJECTED_NO_IMPACT),
        trial("p", 200, placebo=True),
    )


def _judge(values: np.ndarray, faults: Truth, name: str = "robust_z"):
    return evaluate_detector(name, "robust", values, THRESHOLD, faults, SHORT)


def test_one_found_one_missed_one_false_alarm(faults):
    """Every figure of the row, recomputed by hand."""
    row = _judge(scores(high=((53, 60), (240, 243))), faults)

    assert (row.impact_events, row.events_detected, row.recall) == (2, 1, 0.5)
    assert (row.delay_median_s, row.delay_p90_s) == (3.0, None)
    assert row.recall_by == (RecallBy("cpu_hog", 0.5, 1, 1), RecallBy("latency", 0.3, 1, 0))
    assert row.false_alarms.exposure_s == 300 - 3 * 20
    assert row.false_alarms.episodes == 1
    assert row.false_alarms.blocks_in_alarm == 1
    assert row.false_alarms.time_in_alarm_ratio == pytest.approx(6 / 240)
    assert row.placebo_alarm_ratio == 0.0
    assert row.event_f1 == pytest.approx(0.5)
    assert (row.budget_supported, row.false_alarm_bound_per_day) == (False, 5760.0)
    assert 0 < row.auc_pr < 1
    assert row.status == "ok"


def test_the_public_row_has_its_keys_and_is_json(faults):
    """Exactly the documented keys; nothing that JSON cannot hold."""
    row = _judge(scores(high=((53, 60),)), faults)

    assert set(row.public_row()) == KEYS
    assert set(row.public_row()["recall_by"][0]) == {"kind", "intensity", "impact_events", "events_detected"}
    json.dumps(row.to_json(), allow_nan=False)


def test_what_is_undefined_is_none():
    """Without faults and placebos nothing is 0 or NaN."""
    row = _judge(scores(), truth())

    assert (row.recall, row.delay_median_s, row.auc_pr, row.vus_pr, row.placebo_alarm_ratio, row.event_f1) == (None,) * 6
    assert row.ranges.precision is None
    assert row.false_alarms.per_day == 0
    json.dumps(row.to_json(), allow_nan=False)


def test_a_detector_without_scores_keeps_its_row(faults):
    """It says why, and shows no figure."""
    row = _judge(np.full(300, np.nan), faults)

    assert row.status == "no row has a score"
    assert row.events_detected is None
    assert row.public_row()["false_alarms_per_day"] is None
    json.dumps(row.to_json(), allow_nan=False)


def test_shifting_all_times_changes_nothing(faults):
    """Only differences of time matter."""
    values = scores(high=((53, 60), (240, 243)))

    def later(moment: float | None) -> float | None:
        return None if moment is None else moment + 3600

    moved = Truth.of(
        faults.time_s + 3600,
        [
            replace(
                t,
                windows=replace(
                    t.windows,
                    requested=t.windows.requested + 3600,
                    acknowledged=later(t.windows.acknowledged),
                    first_effect=later(t.windows.first_effect),
                    revert_requested=later(t.windows.revert_requested),
                    reverted=later(t.windows.reverted),
                    back_to_normal=later(t.windows.back_to_normal),
                ),
            )
            for t in faults.trials
        ],
        grace_s=GRACE_S,
    )

    assert _judge(values, faults).public_row() == _judge(values, moved).public_row()


def test_scaling_scores_and_threshold_changes_nothing(faults):
    """The unit of a score means nothing."""
    values = scores(high=((53, 60), (240, 243)))
    scaled = evaluate_detector("robust_z", "robust", values * 8, replace(THRESHOLD, value=THRESHOLD.value * 8), faults, SHORT)

    assert scaled.public_row() == _judge(values, faults).public_row()


def test_permuting_labels_changes_no_threshold_and_no_alarm(faults):
    """Kinds, outcomes and placebos exchanged: thresholds come from calibration alone, alarms from scores alone."""
    calibration, values = scores(200), scores(high=((53, 60), (240, 243)))
    shuffled = Truth.of(
        faults.time_s,
        [replace(t, outcome=o.outcome, placebo=o.placebo, kind=o.kind) for t, o in zip(faults.trials, faults.trials[::-1], strict=True)],
        grace_s=GRACE_S,
    )
    threshold = CALIBRATION.threshold(calibration)

    rows = [evaluate_detector("robust_z", "robust", values, threshold, labels, SHORT) for labels in (faults, shuffled)]

    assert rows[0].threshold == rows[1].threshold == CALIBRATION.threshold(calibration)
    opened = {alarm.open_s for alarm in alarms(faults.time_s, values, threshold.value)}
    assert all(d.opened_s in opened for row in rows for d in row.detections if d.detected)
    assert sum(d.detected for row in rows for d in row.detections) == 1
    assert rows[0].public_row() != rows[1].public_row()


def test_a_detection_limit_needs_five_levels():
    """The smallest intensity from which on recall stays at .9 or more; four levels say nothing."""
    found = [RecallBy("latency", level, 10, n) for level, n in ((0.1, 2), (0.2, 9), (0.3, 8), (0.4, 9), (0.5, 10))]

    assert detection_limits(found)[0].intensity == 0.4
    assert detection_limits(found[1:])[0].intensity is None
    assert detection_limits([replace(row, events_detected=1) for row in found])[0].intensity is None


def test_the_random_row_is_a_mean_over_seeds(faults):
    """Twenty seeds, calibrated as any detector; the same seed gives the same row."""
    known = np.ones(60, dtype=bool)
    row, again = (
        random_row(CALIBRATION, faults, SHORT, scored_in_calibration=known, scored=np.ones(300, dtype=bool), seed=3) for _ in range(2)
    )

    assert row == again
    assert (row.name, row.family, row.seeds, row.threshold) == ("random", "floor", 20, None)
    assert row.recall == pytest.approx(row.events_detected / 2)
    prevalence = faults.labels().sum() / (faults.labels() | faults.exposed()).sum()
    assert row.auc_pr == pytest.approx(prevalence, abs=0.06)
    json.dumps(row.to_json(), allow_nan=False)


def test_the_mean_of_one_is_itself(faults):
    """Averaging changes nothing by itself."""
    row = _judge(scores(high=((53, 60),)), faults)

    assert average([row]) == row
    with pytest.raises(ValueError, match="nothing to average"):
        average([])


def test_power_says_what_a_run_cannot_show():
    """Six events, five found: the interval is .36-1.00 and no two detectors can be told apart."""
    faults = truth(*(trial(f"t{i}", 40 * i) for i in range(6)))
    values = scores(high=tuple((40 * i + 3, 40 * i + 8) for i in range(5)))
    rows = [_judge(values, faults, name) for name in ("robust_z", "ewma")]

    assert (
        power(rows[:1]).line
        == "6 impact events; recall 5/6 has interval .36-1.00; this run can rank two detectors only if one finds 6 more events than the other"
    )
    rows += [_judge(values, faults, name) for name in ("pca_spe", "pca_t2")]
    assert power(rows).line == "6 impact events; recall 5/6 has interval .36-1.00; this run cannot rank detectors"
    assert power([_judge(scores(), truth())]).line == "0 impact events; recall is undefined; this run cannot rank detectors"


def test_events_in_degraded_seconds_are_told_apart():
    """One of three events saw a degraded row; it was found, of the others one."""
    quiet = truth(*(trial(f"t{i}", 40 * i) for i in range(3)))
    values = scores(high=((3, 8), (43, 48)))
    bad = np.zeros(len(quiet.time_s), dtype=bool)
    bad[5] = True

    assert apart([_judge(values, quiet)]) == []
    (line,) = apart([_judge(values, replace(quiet, degraded=bad))])
    assert line.startswith("1 impact event ")
    assert line.endswith("robust_z 1/1 there and 1/2 elsewhere")


def test_pairs_are_compared_on_the_same_events():
    """Nine events that only one found: p = 2 / 512; adjusted for three pairs."""
    faults = truth(*(trial(f"t{i}", 30 * i) for i in range(9)))
    good = _judge(scores(high=tuple((30 * i + 3, 30 * i + 8) for i in range(9))), faults, "good")
    bad, worse = _judge(scores(), faults, "bad"), _judge(scores(), faults, "worse")

    first, second, third = compare([good, bad, worse])

    assert (first.only_first, first.only_second) == (9, 0)
    assert first.p == pytest.approx(2 / 512)
    assert (first.p_holm, second.p_holm) == pytest.approx((6 / 512, 6 / 512))
    assert (third.p, third.p_holm) == (None, None)


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        (None, None),
        (("robust_z", 0.5, 8640), None),
        (("robust_z", 0.9, 8640), "recall is 0.5"),
        (("robust_z", 0.5, 10), "false alarms a day are 360"),
        (("ewma", 0.5, 10), "no detector 'ewma'; it has robust_z"),
    ],
)
def test_a_requirement_is_met_or_says_what_is_missing(faults, wanted, missing):
    """What is demanded, against what was measured."""
    rows = [_judge(scores(high=((53, 60), (240, 243))), faults)]
    rule = wanted and Requirement(detector=wanted[0], recall=wanted[1], false_alarms_per_day=wanted[2])

    said = shortfall(rows, rule)
    assert said is None if missing is None else re.search(missing, said or "")


def test_an_undefined_figure_meets_no_requirement():
    """A failed detector does not pass."""
    row = failed("robust_z", "robust", "timed out", impact_events=2, vus_buffer_s=8)

    assert "undefined" in shortfall([row], Requirement(detector="robust_z", recall=0.0, false_alarms_per_day=100))


def test_pretended_windows_are_judged_as_chance():
    """In a fault-free recording a detector lies where random scores lie; one that knows the windows does not."""
    quiet = truth(rows=2000)
    pretended = pretended_trials(quiet.time_s, count=20, duration_s=8, apart_s=20, rng=np.random.default_rng(5))
    events = Truth.of(quiet.time_s, pretended, grace_s=GRACE_S)
    rows = np.ones(2000, dtype=bool)
    chance = random_row(CALIBRATION, events, SHORT, scored_in_calibration=rows[:60], scored=rows, seed=1)
    rng = np.random.default_rng(8)
    honest = evaluate_detector("honest", "x", rng.random(2000), CALIBRATION.threshold(rng.random(60)), events, SHORT)
    leaking = _judge(events.labels() * 9.0, events)

    assert len(events.impacts) == 20
    assert like_chance(honest, chance)
    assert like_chance(leaking, chance) is False
    with pytest.raises(ValueError, match="do not fit"):
        pretended_trials(quiet.time_s, count=100, duration_s=8, apart_s=20, rng=rng)
