"""Range-based measures against their definition, row by row."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tasks.evaluation.ranges import point_adjusted_f1, range_scores
from tests.evaluation.plain_vus import runs_of

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


def _reward(taken, against, weight) -> float | None:
    """Tatbul et al. (2018), definitions 4-8, flat bias, cardinality 1 / x."""
    rewards = []
    for start, end in runs_of(taken):
        members = set(range(start, end + 1))
        meeting = [set(range(a, b + 1)) & members for a, b in runs_of(against)]
        meeting = [shared for shared in meeting if shared]
        overlap = sum(len(shared) for shared in meeting) / len(members)
        rewards.append(weight * bool(meeting) + (1 - weight) * overlap / max(1, len(meeting)))
    return fmean(rewards) if rewards else None


@given(rows, st.sampled_from([0.0, 0.3, 1.0]))
def test_range_scores_equal_their_definition(pairs, weight):
    """Overlap, cardinality and existence, range by range; undefined without ranges."""
    labels, predicted = zip(*pairs, strict=True)

    found = range_scores(labels, predicted, existence_weight=weight)

    assert found.recall == pytest.approx(_reward(labels, predicted, weight), abs=1e-12)
    assert found.precision == pytest.approx(_reward(predicted, labels, 0.0), abs=1e-12)


@given(rows)
def test_point_adjusted_f1_equals_its_definition(pairs):
    """A range with one hit counts as wholly found."""
    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    adjusted = predicted.copy()
    for start, end in runs_of(labels.tolist()):
        adjusted[start : end + 1] = predicted[start : end + 1].max()

    found = point_adjusted_f1(labels, predicted)

    if labels.any() and predicted.any():
        assert found == pytest.approx(f1_score(labels, adjusted, zero_division=0))
    else:
        assert found is None


def test_point_adjustment_flatters_chance():
    """Random predictions find little, and look good once adjusted."""
    rng = np.random.default_rng(0)
    labels = np.zeros(3000, dtype=bool)
    labels[500:900] = labels[1500:1900] = True
    predicted = rng.random(3000) < 0.02

    assert range_scores(labels, predicted).recall < 0.05
    assert point_adjusted_f1(labels, predicted) > 0.7
