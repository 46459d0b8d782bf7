import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.load.histogram import LONGEST_S, RELATIVE_ERROR, SHORTEST_S, Histogram, bucket_of, merged, value_of

durations = st.lists(st.floats(SHORTEST_S, LONGEST_S), min_size=1, max_size=60)


@given(durations, st.floats(0, 1))
def test_a_quantile_is_within_the_documented_error(values, q):
    """Against the exact quantile of the same values (inverse of the empirical distribution)."""
    exact = np.quantile(np.array(values), q, method="inverted_cdf")

    assert Histogram.of(values).quantile(q) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


@given(st.lists(durations, min_size=1, max_size=5), st.randoms())
def test_merging_in_any_order_is_counting_all_at_once(parts, random):
    """The histogram of all values is the merge of its parts, whatever their order and grouping."""
    histograms = [Histogram.of(part) for part in parts]
    shuffled = random.sample(histograms, len(histograms))

    together = merged([merged(shuffled[:2]), *shuffled[2:]])

    assert together == Histogram.of([value for part in parts for value in part])


@given(durations)
def test_buckets_and_counts_say_everything(values):
    """The two arrays that are stored make the same histogram again, and they fit the stored types."""
    histogram = Histogram.of(values)

    again = Histogram.from_counts(dict(zip(histogram.buckets.tolist(), histogram.counts.tolist(), strict=True)))

    assert again == histogram
    assert (histogram.buckets.dtype, histogram.counts.dtype, histogram.total) == (np.int16, np.int32, len(values))


@given(st.floats(allow_nan=True))
def test_any_number_has_a_bucket(value):
    """Negative, infinite and undefined durations count as the shortest or the longest."""
    bucket = bucket_of(value)

    assert bucket_of(SHORTEST_S) <= bucket <= bucket_of(LONGEST_S)
    assert SHORTEST_S * 0.97 <= value_of(np.array([bucket]))[0] <= LONGEST_S * 1.03


def test_nothing_has_no_quantile():
    """Without counts a quantile is undefined, not 0."""
    assert merged([]).quantile(0.5) is None


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_a_quantile_outside_0_and_1_is_refused(q):
    """A percentage given for a share is a mistake."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram.of([1.0]).quantile(q)
