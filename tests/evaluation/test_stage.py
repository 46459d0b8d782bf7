"""The stage *evaluate*: recordings laid end to end, and what a label tells of a fault's end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.laid import Laid
from tasks.faults.witness import BY_CHANCE
from tasks.stages.evaluate import bounded, by_chance, forgotten


def trial(**windows: float | None) -> Trial:
    """A fault from 100 to 160 with other *windows*."""
    whole = {"requested": 100.0, "acknowledged": 100.0, "revert_requested": 160.0, "reverted": 160.0, "back_to_normal": 160.0, **windows}
    return Trial("t", "latency", "carts", 1.0, False, 60.0, Windows(**whole), Outcome.IMPACT)


@pytest.mark.parametrize("next_s", [1000.0, 26.0, 25.5, 20.2, 20.0, 15.0])
def test_recordings_lie_end_to_end(next_s):
    """Rows between two are a step apart where there is room, closer where one follows at once; times rise, and no row is there twice."""
    first, second = np.array([10.0, 15.0, 20.0]), next_s + np.array([0.0, 5.0])
    laid = Laid.of({"first": first, "second": second}, 5, 5.0)
    kept = int(np.count_nonzero(first < next_s))

    assert laid.rows == {"first": kept, "second": 2}
    assert laid.last_s == {"first": first[kept - 1], "second": next_s + 5}
    assert laid.time_s[:kept].tolist() == first[:kept].tolist()
    assert laid.time_s[kept + 5 : kept + 7].tolist() == second.tolist()
    assert (np.diff(laid.time_s) > 0).all()
    assert len(laid.time_s) == kept + 2 + 10
    assert np.isclose(laid.time_s[kept + 4], 45) == (next_s > 50)


def test_a_labelled_fault_shows_for_a_rate_window_longer():
    """A label says when it was over; nobody measured when the rates had forgotten it."""
    assert forgotten(trial(), 20.0) == trial(back_to_normal=180.0)


@pytest.mark.parametrize("windows", [{"back_to_normal": 170.0}, {"back_to_normal": None}, {"reverted": None}])
def test_what_was_measured_stays(windows):
    """A return to normal later than the revert was seen; one that nobody saw is not made up."""
    assert forgotten(trial(**windows), 20.0) == trial(**windows)


def test_a_fault_that_never_ended_reaches_to_the_end_of_its_recording():
    """And no further; a placebo, and what was not injected, have no such span."""
    open_end = trial(back_to_normal=None)

    assert bounded(open_end, 300.0) == trial(back_to_normal=300.0)
    assert bounded(replace(open_end, outcome=Outcome.NOT_INJECTED), 300.0).windows.back_to_normal is None


def test_placebos_that_would_have_been_an_impact_are_counted():
    """One of two, whatever else is in its note; a fault's note counts for nothing, and nothing is said where none was."""
    windows = Windows(requested=1.0, acknowledged=2.0, revert_requested=3.0, reverted=4.0)
    calm = Trial("t1", "latency", "orders", 0.5, placebo=True, duration_s=2.0, windows=windows)
    moved = replace(calm, id="t2", note=f"the witness moved in a placebo; {BY_CHANCE}: load/GET / p95")
    fault = replace(moved, id="t3", placebo=False)

    assert by_chance([calm, moved, fault]) == "1 of 2 placebos would have counted as impact by the same rule"
    assert by_chance([calm, fault]) is None
