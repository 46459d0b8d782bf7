"""Outcomes follow from the series, by the rule of 3 scales, the resolution, and two rows in succession."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Windows
from tasks.faults.proxy_series import growth, ratio
from tasks.faults.witness import Evidence, Indicator, first_leave, judge, reference, returned_to_normal

TIMES = np.arange(100.0)
WINDOWS = Windows(requested=40.2, acknowledged=40.5, revert_requested=48.5, reverted=48.6)


def series(value: np.ndarray, *, resolution: float = 0.01, direction: str = "either", name: str = "orders/cpu_cores") -> Indicator:
    return Indicator(name, TIMES, value.astype(float), np.ones(len(value), bool), resolution, direction)  # type: ignore[arg-type]


def quiet(level: float = 0.2, seed: int = 0) -> np.ndarray:
    return level + np.random.default_rng(seed).normal(0, 0.002, 100)


def moved(start: int, end: int, by: float) -> np.ndarray:
    value = quiet()
    value[start:end] += by
    return value


def verdict(witness: np.ndarray, user: np.ndarray, **other: object):
    evidence = Evidence([series(witness)], [series(user, name="load/p95")], [series(user, name="load/p95")])
    arguments = {"excluded": (), "grace_s": 7.0, "placebo": False, **other}
    return judge(evidence, WINDOWS, **arguments)  # type: ignore[arg-type]


def test_a_witness_and_a_user_that_move_are_an_impact():
    """First effect is the first row outside, back to normal the first row from which both stay inside."""
    found = verdict(moved(42, 52, 0.5), moved(43, 54, 0.5))

    assert found.outcome is Outcome.IMPACT
    assert (found.first_effect, found.back_to_normal, found.witness) == (42.0, 54.0, "orders/cpu_cores")
    assert found.note == "impact seen in load/p95"


def test_a_witness_alone_is_no_impact_and_none_is_no_injection():
    """Outcome follows witness first, users second."""
    assert verdict(moved(42, 52, 0.5), quiet(seed=1)).outcome is Outcome.INJECTED_NO_IMPACT
    nothing = verdict(quiet(), moved(43, 54, 0.5))
    assert nothing.outcome is Outcome.NOT_INJECTED
    assert nothing.first_effect is None
    assert "did not leave" in nothing.note


def waiting(start: int, end: int, *, placebo: bool = False):
    """The verdict on a fault of the rows 41 to 48 whose witness moved, and in which users waited from row *start* to before *end*."""
    user = replace(series(moved(start, end, 0.5), name="load/GET / p95"), lasting=True)
    return judge(Evidence([series(moved(42, 52, 0.5))], [user]), WINDOWS, excluded=(), grace_s=7.0, placebo=placebo)


@pytest.mark.parametrize(("rows", "expected"), [(3, Outcome.INJECTED_NO_IMPACT), (4, Outcome.IMPACT), (8, Outcome.IMPACT)])
def test_users_have_to_wait_for_half_of_the_fault(rows: int, expected: Outcome):
    """A p95 that is high for two seconds is so without a fault, too; what only begins after the revert is none either."""
    assert waiting(42, 42 + rows).outcome is expected


def test_latency_after_the_revert_is_no_impact():
    """However long: the fault was over."""
    assert waiting(49, 60).outcome is Outcome.INJECTED_NO_IMPACT


def test_a_placebo_that_would_have_counted_says_so():
    """That is how often the rule itself is wrong."""
    assert waiting(42, 50, placebo=True).note == "the witness moved in a placebo; users' indicators moved in a placebo: load/GET / p95"
    assert waiting(42, 45, placebo=True).note == "the witness moved in a placebo"


def test_users_who_noticed_what_no_witness_showed_are_told():
    """It stays not-injected: what they noticed may be anything."""
    assert verdict(quiet(), moved(43, 54, 0.5)).note == "its witness did not leave the reference, though users noticed: load/p95"


@pytest.mark.parametrize(("rows", "expected"), [(1, Outcome.NOT_INJECTED), (2, Outcome.INJECTED_NO_IMPACT)])
def test_one_row_is_noise_and_two_are_an_effect(rows: int, expected: Outcome):
    """Two rows in succession are needed."""
    assert verdict(moved(45, 45 + rows, 0.5), quiet(seed=1)).outcome is expected


def test_a_move_within_three_resolutions_is_none():
    """The scale is floored by the resolution, whatever the noise is."""
    flat = np.full(100, 0.2)
    inside, beyond = flat.copy(), flat.copy()
    inside[42:52] += 0.029
    beyond[42:52] += 0.031

    assert verdict(inside, quiet(seed=1)).outcome is Outcome.NOT_INJECTED
    assert verdict(beyond, quiet(seed=1)).outcome is Outcome.INJECTED_NO_IMPACT


def test_the_direction_counts():
    """A witness that must fall is not convinced by a rise."""
    rising = series(moved(42, 52, 0.5), direction="down")
    ref = reference(rising, 40.2, ())

    assert ref is not None
    assert first_leave(rising, ref, Interval(40, 55)) is None


def test_users_count_only_between_acknowledged_and_the_grace():
    """An indicator that moves long after the fault is no impact of it."""
    assert verdict(moved(42, 52, 0.5), moved(60, 80, 0.5)).outcome is Outcome.INJECTED_NO_IMPACT


def test_the_reference_reaches_back_across_earlier_faults():
    """Rows of earlier faults are left out; with none left there is no verdict on injection."""
    value = moved(20, 39, 5.0)
    value[42:52] += 5.0
    spans = (Interval(19.5, 39.5),)
    ref = reference(series(value), 40.2, spans)

    assert ref is not None
    assert ref.centre == pytest.approx(0.2, abs=0.01)
    assert ref.rows == 15
    assert verdict(value, quiet(seed=1), excluded=spans).first_effect == 42.0
    assert "no fault-free reference" in verdict(value, quiet(), excluded=(Interval(0, 40.1),)).note


def test_masked_rows_say_nothing():
    """A masked or unknown row neither leaves nor returns, and does not break a succession."""
    value = moved(42, 52, 0.5)
    valid = np.ones(100, bool)
    valid[[43, 45]] = False
    value[44] = np.nan
    one = Indicator("orders/cpu_cores", TIMES, value, valid, 0.01)
    ref = reference(one, 40.2, ())

    assert ref is not None
    assert first_leave(one, ref, Interval(40, 55)) == 42.0
    valid[46:] = False
    valid[42] = False
    assert first_leave(Indicator("x", TIMES, value, valid, 0.01), ref, Interval(40, 55)) is None


def test_a_placebo_has_no_outcome_but_a_note_when_its_witness_moves():
    """A witness that moves in a placebo is told: the harness leaks."""
    assert verdict(quiet(), quiet(seed=1), placebo=True).outcome is None
    leaking = verdict(moved(42, 52, 0.5), quiet(seed=1), placebo=True)
    assert leaking.outcome is None
    assert "moved in a placebo" in leaking.note


def test_the_next_fault_waits_until_everything_has_calmed_down():
    """Seen live: not calm while outside, nor before three calm rows; then the first calm row."""
    value = moved(42, 60, 0.5)
    one = series(value)
    ref = reference(one, 40.2, ())
    assert ref is not None
    for rows, expected in ((55, None), (62, None), (63, 60.0), (100, 60.0)):
        live = Indicator("x", TIMES[:rows], value[:rows], np.ones(rows, bool), 0.01)
        assert returned_to_normal([(live, ref)], 48.6) == expected
    assert returned_to_normal([], 48.6) == 48.6


def test_a_count_of_restarts_need_not_return():
    """A witness marked so is not waited for."""
    restarts = Indicator("orders/restarts", TIMES, (TIMES >= 42) * 3.0, np.ones(100, bool), 0.1, "up", returns=False)
    found = judge(Evidence([restarts], []), WINDOWS, excluded=(), grace_s=7, placebo=False)

    assert found.outcome is Outcome.INJECTED_NO_IMPACT
    assert found.back_to_normal == 48.6


@settings(max_examples=80, deadline=None)
@given(st.floats(0.01, 1e3), st.integers(0, 1000))
def test_units_do_not_change_the_verdict(factor: float, seed: int):
    """With the resolution in the same unit, a change of unit changes nothing."""
    noise = np.random.default_rng(seed).normal(0, 1.0, 100)
    noise[42:52] += 4.0 * (seed % 3)
    one = Indicator("a", TIMES, noise, np.ones(100, bool), 1.0)
    ref = reference(one, 40.2, ())
    two = Indicator("b", TIMES, noise * factor, np.ones(100, bool), factor)
    other = reference(two, 40.2, ())
    assert ref is not None
    assert other is not None
    assert first_leave(one, ref, Interval(40, 56)) == first_leave(two, other, Interval(40, 56))


def test_growth_of_a_counter_over_a_window_survives_a_restart():
    """A fall is a restart from zero; rows without samples in the window are unknown."""
    times, value = np.arange(10.0), np.array([5, 6, 8, 8, 0, 2, 4, 4, 4, 5.0])
    grid = np.array([0.5, 3.0, 5.0, 9.0, 20.0])

    found = growth(times, value, grid, 3.0)

    assert np.isnan(found[[0, 4]]).all()
    assert found[1:4].tolist() == [3.0, 2.0, 1.0]
    assert np.isnan(growth(np.array([]), np.array([]), grid, 3.0)).all()
    assert ratio(np.array([1.0, 0.0, 2.0]), np.array([2.0, 0.0, np.nan])).tolist()[0] == 0.5
    assert np.isnan(ratio(np.array([0.0, 2.0]), np.array([0.0, np.nan]))).all()
