"""Places and measures: ties by expectation, misses counted, chance beside."""

from __future__ import annotations

from itertools import pairwise, permutations
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.rootcause.measures import MISS, Place, chance, measures, place
from tasks.rootcause.model import Scored, ordered

heights = st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=1, max_size=6)


def _ranked(scores):
    return [Scored(f"s{i}", score) for i, score in enumerate(scores)]


@given(heights, st.integers(1, 3), st.integers(1, 6))
def test_ties_are_broken_by_expectation(scores, n_true, k):
    """AC@k and the reciprocal rank are means over every order that respects the scores."""
    ranked = _ranked(scores)
    true = {item.name for item in ranked[:n_true]}
    height = {item.name: float("-inf") if item.score is None else item.score for item in ranked}
    orders = [o for o in permutations(height) if all(height[a] >= height[b] for a, b in pairwise(o))]
    ranks = [min(o.index(name) for name in true) + 1 for o in orders]

    found = place(ranked, true)

    assert found.within(k) == pytest.approx(fmean(rank <= k for rank in ranks))
    assert found.reciprocal() == pytest.approx(fmean(1 / rank for rank in ranks))


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_only_the_order_of_scores_matters(scores):
    """A rising transformation of the scores changes no place."""
    ranked, stretched = _ranked(scores), _ranked([3 * score + 7 for score in scores])
    assume(len(set(scores)) == len({item.score for item in stretched}))  # rounding may make new ties

    assert place(ranked, {"s0"}) == place(stretched, {"s0"})


def test_measures_are_means_over_cases():
    """First, second and a miss: recomputed by hand."""
    found = measures([Place(0, 1, 1), Place(1, 1, 1), MISS])

    assert found.ac_at_1 == pytest.approx(1 / 3)
    assert found.ac_at_3 == pytest.approx(2 / 3)
    assert found.avg_at_5 == pytest.approx((1 + 4 / 5 + 0) / 3)
    assert found.mrr == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_no_case_has_no_measure():
    """Undefined is None."""
    assert measures([]).ac_at_1 is None
    assert measures([]).mrr is None


def test_chance_is_a_ranking_of_ties():
    """Among eight, chance names the cause once in eight."""
    assert chance(8).within(1) == pytest.approx(1 / 8)
    assert chance(8).within(3) == pytest.approx(3 / 8)
    assert place(_ranked([0.0] * 8), {"s3"}) == chance(8)


def test_what_could_not_be_scored_comes_last():
    """None is below every score, and names order what is equal."""
    assert [item.name for item in ordered(["b", "a", "c", "d"], [1.0, 1.0, float("nan"), -5.0])] == ["a", "b", "d", "c"]
