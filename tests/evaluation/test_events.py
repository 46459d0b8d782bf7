"""Detected, missed, masked; delays with misses censored; placebos."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.trials import Outcome
from tasks.evaluation.alarms import Alarm
from tasks.evaluation.events import delay_quantiles, detect, placebo_alarms, survival_quantile
from tests.evaluation.recording import START, trial, truth


def _alarm(opened: float, closed: float) -> Alarm:
    return Alarm(START + opened, START + closed)


@pytest.mark.parametrize(
    ("alarm", "detected", "masked", "delay"),
    [
        ((104, 120), True, False, 3.0),
        ((101, 120), True, False, 0.0),
        ((116, 125), True, False, 15.0),
        ((117, 125), False, False, None),
        ((90, 110), False, True, None),
        ((100, 102), False, True, None),
        ((90, 101), False, False, None),
    ],
)
def test_detected_is_opened_in_the_window(alarm, detected, masked, delay):
    """[acknowledged, reverted + grace], ends included; open when the fault begins is a masked miss."""
    found = detect(truth(trial("a", 100)), [_alarm(*alarm)])[0]

    assert (found.detected, found.masked, found.delay_s) == (detected, masked, delay)
    assert found.censored_s == (None if detected else 15.0)
    assert found.fresh is detected


def test_masked_stays_missed_when_another_alarm_follows():
    """An alarm that was open hides the one that opens later."""
    found = detect(truth(trial("a", 100)), [_alarm(90, 103), _alarm(105, 120)])[0]

    assert (found.detected, found.masked) == (False, True)


def test_only_impact_events_count():
    """A fault without effect, one without impact and a placebo are no events; wrongly labelled windows: none."""
    faults = truth(
        trial("no-effect", 20, outcome=Outcome.NOT_INJECTED),
        trial("no-impact", 60, outcome=Outcome.INJECTED_NO_IMPACT),
        trial("placebo", 100, placebo=True),
        trial("impact", 150),
    )

    assert [d.trial for d in detect(faults, [])] == ["impact"]
    assert faults.labels().sum() == 16


def test_a_window_that_the_recording_cuts_is_censored_at_its_end():
    """Nobody watched longer than the recording."""
    assert detect(truth(trial("a", 100), rows=108), [])[0].censored_s == 6.0


def test_a_degraded_window_is_marked():
    """Where the generator fell short, an event says so."""
    assert detect(truth(trial("a", 100), degraded=slice(110, 111)), [])[0].degraded
    assert not detect(truth(trial("a", 100), degraded=slice(118, 119)), [])[0].degraded


def test_placebo_alarms_count_open_ones_too():
    """An endless alarm is an alarm in every placebo."""
    faults = truth(trial("p1", 50, placebo=True), trial("p2", 150, placebo=True))

    assert [p.alarmed for p in placebo_alarms(faults, [_alarm(55, 60)])] == [True, False]
    assert [p.alarmed for p in placebo_alarms(faults, [_alarm(0, 300)])] == [True, True]
    assert [p.alarmed for p in placebo_alarms(faults, [_alarm(0, 51)])] == [False, False]


def test_delay_quantiles_with_misses():
    """Six of ten found: the median is the fifth delay, the 90 % point is not reached."""
    raised = [_alarm(100 * i + 1 + i, 100 * i + 30) for i in range(6)]
    faults = truth(*(trial(f"t{i}", 100 * i) for i in range(10)), rows=1000)

    found = delay_quantiles(detect(faults, raised))

    assert found.median_s == 4.0
    assert found.p90_s is None
    assert delay_quantiles([]).median_s is None


def test_survival_by_the_textbook():
    """Kaplan and Meier by hand: 1, 2+, 3, 4+, 5 with + censored gives S = .8, .8 * 2/3, 0."""
    durations, seen = [1, 2, 3, 4, 5], [True, False, True, False, True]

    assert survival_quantile(durations, seen, 0.2) == 1.0
    assert survival_quantile(durations, seen, 0.4) == 3.0
    assert survival_quantile(durations, seen, 0.5) == 5.0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.sampled_from([0.1, 0.5, 0.9]))
def test_without_censoring_it_is_the_empirical_quantile(durations, share):
    """The smallest duration by which *share* of all have happened."""
    expected = min(d for d in durations if sum(x <= d for x in durations) >= share * len(durations) - 1e-9)

    assert survival_quantile(durations, [True] * len(durations), share) == expected
