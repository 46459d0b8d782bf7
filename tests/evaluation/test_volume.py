"""VUS-PR against its definition written plainly, and against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation.volume import vus_pr
from tests.evaluation.plain_vus import plain_vus_pr


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    """Labels with both classes, and scores with ties."""
    n = draw(st.integers(2, 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(lambda row: 0 < sum(row) < len(row)))
    scores = draw(st.lists(st.integers(0, 12).map(float), min_size=n, max_size=n))
    return labels, scores


@settings(max_examples=200, deadline=None)
@given(labelled_scores(), st.integers(0, 15), st.sampled_from([None, 1, 2, 7, 25]))
def test_fast_equals_the_plain_definition(case, buffer, thresholds):
    """The vectorised volume is the published definition, for every buffer and sampling."""
    labels, scores = case

    assert vus_pr(labels, scores, buffer, thresholds=thresholds) == pytest.approx(
        plain_vus_pr(labels, scores, buffer, thresholds), abs=1e-9
    )


def test_long_runs_equal_the_plain_definition():
    """Long faults with continuous scores, too, in pieces of windows."""
    rng = np.random.default_rng(3)
    labels = np.zeros(300, dtype=int)
    labels[40:60] = labels[75:80] = labels[290:] = 1
    scores = rng.normal(size=300) + labels

    assert vus_pr(labels, scores, 40) == pytest.approx(plain_vus_pr(labels.tolist(), scores.tolist(), 40, None), abs=1e-9)
