"""Intervals against known values and simulated coverage; Holm by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tasks.evaluation.intervals import bootstrap, clopper_pearson, holm, poisson


def test_five_of_six():
    """The exact interval of recall 5/6 is .36-1.00."""
    found = clopper_pearson(5, 6)

    assert (round(found.low, 2), round(found.high, 2)) == (0.36, 1.00)


@pytest.mark.parametrize(("k", "n"), [(0, 4), (3, 9), (9, 9)])
def test_proportions_equal_scipy(k, n):
    """Ends included."""
    ours, theirs = clopper_pearson(k, n), stats.binomtest(k, n).proportion_ci(0.95, method="exact")

    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_without_tries_there_is_no_interval():
    """Undefined is None."""
    assert clopper_pearson(0, 0) is None


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0, 3.688879), (1, 0.025318, 5.571643), (10, 4.795389, 18.390356)])
def test_poisson_is_garwoods_table(count, low, high):
    """As printed in tables since 1936."""
    found = poisson(count)

    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


def test_poisson_grows_with_a_count_that_is_not_whole():
    """Partial blocks fall between their neighbours."""
    assert poisson(2).low < poisson(2.5).low < poisson(3).low
    assert poisson(2).high < poisson(2.5).high < poisson(3).high


def test_holm_by_hand():
    """.01 x 4, .02 x 3, .03 x 2 lifted to the one before, .8; in the order given."""
    assert holm([0.8, 0.01, 0.03, 0.02]) == pytest.approx((0.8, 0.04, 0.06, 0.06))
    assert holm([0.6, 0.6]) == (1.0, 1.0)
    assert holm([]) == ()


def test_bootstrap_of_clusters_is_wider():
    """Trials of one recording resemble each other: drawing recordings shows it."""
    rng = np.random.default_rng(1)
    levels = rng.normal(size=12).repeat(20)
    values = levels + 0.1 * rng.normal(size=240)

    alone = bootstrap(values, range(240), statistic=np.mean, rng=np.random.default_rng(2))
    clustered = bootstrap(values, np.arange(12).repeat(20).tolist(), statistic=np.mean, rng=np.random.default_rng(2))

    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(240), rel=0.1)


def test_bootstrap_needs_two_trials():
    """One trial has no spread; one recording falls back on its trials."""
    assert bootstrap([1.0], ["a"], statistic=np.mean, rng=np.random.default_rng(0)) is None
    assert bootstrap([0.0, 1.0] * 10, ["a"] * 20, statistic=np.mean, rng=np.random.default_rng(0)).low < 0.5
