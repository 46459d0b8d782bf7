"""Laws of closed spans."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.intervals import Interval, merged

POINTS = st.integers(-50, 50)
SPANS = st.tuples(POINTS, POINTS).map(lambda ends: Interval(float(min(ends)), float(max(ends))))
MANY = st.lists(SPANS, max_size=8)


def moments(spans):
    """All half-integer moments that lie in one of *spans*."""
    return {step / 2 for step in range(-101, 102) if any(step / 2 in span for span in spans)}


@given(MANY)
def test_merging_keeps_every_moment_and_adds_none(spans):
    """The same moments, however the spans overlap."""
    assert moments(merged(spans)) == moments(spans)


@given(MANY)
def test_merged_spans_are_sorted_and_apart(spans):
    """Between two of them there is always a gap."""
    found = merged(spans)
    assert all(before.end_s < after.start_s for before, after in pairwise(found))


@given(st.lists(SPANS, max_size=5), st.randoms())
def test_the_order_does_not_matter(spans, rng):
    """Shuffled spans merge to the same, and merging twice changes nothing."""
    shuffled = rng.sample(spans, len(spans))
    assert merged(shuffled) == merged(spans) == merged(merged(spans))


@given(SPANS, SPANS)
def test_overlap_means_a_moment_in_common(first, second):
    """And it is the same from both sides; ends count."""
    assert first.overlaps(second) == second.overlaps(first) == bool(moments([first]) & moments([second]))


@given(SPANS, SPANS)
def test_covering_means_all_moments(first, second):
    """A span covers another one exactly when it holds both its ends."""
    assert first.covers(second) == (second.start_s in first and second.end_s in first)


@given(MANY)
def test_merging_never_lengthens(spans):
    """The whole is at most the sum."""
    assert sum(span.length_s for span in merged(spans)) <= sum(span.length_s for span in spans)


@pytest.mark.parametrize("ends", [(2.0, 1.0), (float("nan"), 1.0), (0.0, float("nan"))])
def test_a_span_cannot_end_before_it_starts(ends):
    """Nor start or end at no time at all."""
    with pytest.raises(ValueError, match="cannot end"):
        Interval(*ends)
