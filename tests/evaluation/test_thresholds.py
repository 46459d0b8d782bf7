"""Thresholds from a budget: short calibrations, empirical quantiles, fitted tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tasks.base.errors import IncompleteError
from tasks.evaluation.thresholds import DAY_S, block_maxima, calibrate, fit_tail

RULE = {"rate_window_s": 5.0, "persistence_s": 3.0, "step_s": 1.0}


def _budget(p_block: float) -> float:
    """Alarms a day that give a block of 8 s the probability *p_block*."""
    return p_block * DAY_S / 8


def test_a_short_calibration_takes_its_largest_score_and_says_so():
    """45 s cannot support 24 alarms a day: the largest score, and the rate that 45 s can bound."""
    scores = np.random.default_rng(1).random(45)

    threshold = calibrate(scores, budget_per_day=24, **RULE)

    assert threshold.value == scores.max()
    assert not threshold.budget_supported
    assert threshold.bound_per_day == pytest.approx(3 / (45 / DAY_S))
    assert threshold.n_blocks == 5
    assert threshold.method == "largest"


@pytest.mark.parametrize(("p_block", "supported"), [(0.1 - 1e-6, False), (0.1, True), (0.15, True)])
def test_the_budget_needs_one_block_in_n_plus_one(p_block, supported):
    """With nine blocks, one in ten is the smallest probability that can be kept."""
    threshold = calibrate(np.arange(72.0), budget_per_day=_budget(p_block), **RULE)

    assert threshold.n_blocks == 9
    assert threshold.budget_supported is supported
    assert threshold.value == 71.0


def test_the_empirical_threshold_is_the_kth_largest_block():
    """With 99 blocks and p = .2 a new block exceeds the 20th largest with probability 20/100."""
    scores = np.random.default_rng(2).permutation(np.arange(99.0)).repeat(8)

    threshold = calibrate(scores, budget_per_day=_budget(0.2), **RULE)

    assert threshold.method == "empirical"
    assert threshold.value == 98.0 - 19


def test_few_exceedances_are_not_fitted():
    """Below 30 block maxima in the highest tenth the tail stays empirical."""
    scores = np.random.default_rng(3).random(8 * 200)

    assert calibrate(scores, budget_per_day=_budget(0.05), **RULE).method == "empirical"


def test_a_long_calibration_fits_the_tail_and_keeps_the_budget():
    """On fresh data of the same kind the share of exceeding blocks is near the budget."""
    rng = np.random.default_rng(4)
    threshold = calibrate(rng.standard_exponential(8 * 2000), budget_per_day=_budget(0.01), **RULE)

    exceeding = (block_maxima(rng.standard_exponential(8 * 50_000), rows=8) > threshold.value).mean()

    assert threshold.method == "generalised-pareto"
    assert exceeding == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_the_fit_finds_what_made_the_data(shape):
    """Shape and scale come back from many draws; scipy's free fit agrees where it stays inside the bounds."""
    excess = stats.genpareto.rvs(shape, scale=3.0, size=4000, random_state=5)

    found_shape, found_scale = fit_tail(excess)
    free_shape, _, free_scale = stats.genpareto.fit(excess, floc=0)

    assert found_shape == pytest.approx(shape, abs=0.06)
    assert found_scale == pytest.approx(3.0, rel=0.08)
    if 0.001 < free_shape < 0.499:
        assert (found_shape, found_scale) == pytest.approx((free_shape, free_scale), rel=0.02)


@pytest.mark.parametrize(("shape", "bound"), [(-0.4, 0.0), (1.5, 0.5)])
def test_the_shape_stays_inside_its_bounds(shape, bound):
    """Tails that are bounded, or too heavy to have a variance, end at the bound."""
    assert fit_tail(stats.genpareto.rvs(shape, scale=1.0, size=2000, random_state=6))[0] == pytest.approx(bound, abs=1e-6)


def test_rows_without_a_score_are_left_out():
    """NaN neither counts as a block nor as time."""
    scores = np.concatenate([np.full(8, np.nan), np.arange(16.0), [np.nan] * 4])

    threshold = calibrate(scores, budget_per_day=1, **RULE)

    assert threshold.n_blocks == 2
    assert threshold.value == 15.0
    assert threshold.bound_per_day == pytest.approx(3 * DAY_S / 16)


def test_no_score_at_all_is_an_error_with_a_next_step():
    """A calibration without scores sets no threshold in silence."""
    with pytest.raises(IncompleteError, match="no row with a score"):
        calibrate([np.nan] * 20, budget_per_day=1, **RULE)


def test_a_calibration_shorter_than_a_block_still_has_a_threshold():
    """Five rows, budget without bound: the largest score, not supported."""
    threshold = calibrate([1.0, 3.0, 2.0], budget_per_day=86_400, **RULE)

    assert (threshold.value, threshold.budget_supported, threshold.n_blocks) == (3.0, False, 0)


def test_a_constant_detector_never_exceeds():
    """All scores equal: the threshold is that score, and strictly above is nobody."""
    threshold = calibrate(np.full(8 * 400, 2.0), budget_per_day=_budget(0.05), **RULE)

    assert threshold.value == 2.0
