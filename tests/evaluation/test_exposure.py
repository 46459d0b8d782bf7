"""False alarms: what is exposed, and how blocks are counted."""

from __future__ import annotations

import pytest

from tasks.base.trials import Outcome
from tasks.evaluation.alarms import Alarm
from tasks.evaluation.exposure import averaged, false_alarms, ratio
from tests.evaluation.recording import START, trial, truth


def _alarm(opened: float, closed: float) -> Alarm:
    return Alarm(START + opened, START + closed)


def test_exposure_is_all_but_real_faults():
    """[requested, back to normal + grace] goes out, ends included; a placebo's window stays."""
    faults = truth(trial("a", 100), trial("p", 200, placebo=True))

    exposed = faults.exposed()

    assert [row for row in range(300) if not exposed[row]] == list(range(100, 120))


def test_a_fault_that_never_came_back_takes_the_rest():
    """Without a seen return to normal, nothing after it is called fault-free."""
    assert truth(trial("a", 100, back=None)).exposed().sum() == 100


def test_a_fault_that_was_not_injected_ends_with_its_revert():
    """It cannot come back from where it never was."""
    assert (~truth(trial("a", 100, outcome=Outcome.NOT_INJECTED, back=None)).exposed()).sum() == 17


def test_blocks_over_exposure_laid_end_to_end():
    """275 exposed seconds are 27.5 blocks of 10 s; two alarms in one block count once, one across an edge twice."""
    counted = false_alarms(truth(trial("a", 100, back=17)), [_alarm(1, 3), _alarm(5, 8), _alarm(48, 52)], block_s=10)

    assert counted.exposure_s == 275
    assert counted.blocks == 27.5
    assert counted.blocks_in_alarm == 3
    assert counted.episodes == 3
    assert counted.per_day == pytest.approx(3 / 275 * 86_400)
    assert counted.per_day_low == pytest.approx(0.6186721 / 275 * 86_400, rel=1e-6)
    assert counted.per_day_high == pytest.approx(8.767273 / 275 * 86_400, rel=1e-6)
    assert counted.time_in_alarm_ratio == pytest.approx(9 / 275)


def test_blocks_close_up_over_the_excluded_rows():
    """Rows before and after a fault share a block when laid end to end."""
    faults = truth(trial("a", 95))

    assert false_alarms(faults, [_alarm(93, 94), _alarm(116, 118)], block_s=10).blocks_in_alarm == 1


def test_an_endless_alarm_fills_every_block():
    """It is one episode but all the time, the last partial block by its length."""
    counted = false_alarms(truth(rows=95), [_alarm(0, 95)], block_s=10)

    assert counted.blocks_in_alarm == counted.blocks == 9.5
    assert counted.per_day == pytest.approx(8640)
    assert counted.episodes == 1
    assert counted.time_in_alarm_ratio == 1.0


def test_degraded_rows_are_scored_apart():
    """They leave the exposure, and can be asked for alone."""
    faults = truth(degraded=slice(0, 100))

    assert false_alarms(faults, [_alarm(10, 20)], block_s=10).blocks_in_alarm == 0
    apart = false_alarms(faults, [_alarm(10, 20)], block_s=10, rows=faults.exposed() & faults.degraded)
    assert (apart.exposure_s, apart.blocks_in_alarm) == (100, 1)


def test_without_exposure_rates_are_undefined():
    """None, never 0."""
    counted = false_alarms(truth(trial("a", 0, back=None)), [], block_s=10)

    assert (counted.exposure_s, counted.per_day, counted.per_day_high, counted.time_in_alarm_ratio) == (0, None, None, None)


def test_no_alarm_has_an_upper_bound_near_three_over_the_exposure():
    """The exact interval of zero ends at 3.69 (two-sided), and starts at 0."""
    counted = false_alarms(truth(), [], block_s=10)

    assert counted.per_day == counted.per_day_low == 0
    assert counted.per_day_high == pytest.approx(3.688879 * 86_400 / 300, rel=1e-6)


def test_averages_keep_the_interval_of_one_recording():
    """The mean of 1 and 3 blocks has the interval of 2, not of 4 in twice the time."""
    one = false_alarms(truth(), [_alarm(1, 2)], block_s=10)
    three = false_alarms(truth(), [_alarm(1, 2), _alarm(31, 32), _alarm(61, 62)], block_s=10)
    two = false_alarms(truth(), [_alarm(1, 2), _alarm(31, 32)], block_s=10)

    assert averaged([one, three]) == two
    assert ratio(three, one) == pytest.approx(3)
    assert ratio(one, false_alarms(truth(), [], block_s=10)) is None
    with pytest.raises(ValueError, match="same exposure"):
        averaged([one, false_alarms(truth(rows=200), [], block_s=10)])
