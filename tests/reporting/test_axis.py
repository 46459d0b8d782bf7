"""Scales, ticks and outlines."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.reporting.axis import compressed, label, linear, outline, time_ticks


@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=1, max_size=400), st.integers(1, 40))
def test_an_outline_keeps_the_extremes_and_invents_nothing(values: list[float], buckets: int):
    """The lowest and highest finite value are always drawn, and at most two points a bucket, none of them NaN."""
    y = np.asarray(values)
    x = np.arange(y.size, dtype=np.float64)
    points, lift = outline(x, y, 0.0, float(y.size), buckets)

    assert np.isfinite(y[points]).all()
    assert len(points) == len(lift) <= 2 * buckets
    assert (np.diff(points) > 0).all()
    finite = y[np.isfinite(y)]
    if finite.size:
        assert {finite.min(), finite.max()} <= set(y[points].tolist())
        assert lift[0]


def test_the_pen_is_lifted_over_a_hole_in_time_and_over_nan():
    """A line never crosses what was not measured."""
    x = np.asarray([0.0, 1, 2, 10, 11, 12, 13])
    y = np.asarray([1.0, 1, 1, 2, float("nan"), 3, 3])
    points, lift = outline(x, y, 0.0, 20.0, 100)

    assert points.tolist() == [0, 1, 2, 3, 5, 6]
    assert lift.tolist() == [True, False, False, True, True, False]


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30))
def test_every_value_lies_on_its_axis(values: list[float]):
    """The ends of an axis hold all values, with ticks inside."""
    scale = linear(np.asarray(values), "s")

    assert scale.low <= min(values)
    assert max(values) <= scale.high
    assert all(scale.low <= value <= scale.high for value, _ in scale.ticks)


def test_a_compressed_axis_shows_a_near_miss_beside_a_score_of_a_thousand_thresholds():
    """Median, just below the threshold, the threshold and far above it have places that the eye can tell apart."""
    scale = compressed(np.asarray([1.0] * 50 + [3.2, 4000.0]), 3.4)
    places = scale.place(np.asarray([1.0, 3.2, 3.4, 40.0, 4000.0]))

    assert (np.diff(places) > 0.005).all()
    assert places[2] - places[0] > 0.15
    assert places[-1] == 1.0


def test_an_axis_of_nothing_is_an_axis():
    """No finite value, all values alike, a threshold at the median: still two different ends."""
    for scale in (
        linear(np.asarray([np.nan]), "ratio"),
        linear(np.zeros(3), "s"),
        compressed(np.zeros(3), 0.0),
        compressed(np.full(2, np.nan), None),
    ):
        assert scale.low < scale.high


def test_ticks_say_their_unit():
    """As a person would write it."""
    assert [label(0.25, "s"), label(12e6, "bytes"), label(0.4, "ratio"), label(0.6, "cores"), label(1200, "")] == [
        "250 ms",
        "12 MB",
        "40 %",
        "0.6",
        "1.2 k",
    ]


def test_time_counts_from_the_origin_to_both_sides():
    """Round steps, signed, no more than asked for."""
    assert [words for _, words in time_ticks(90, 130, 100, 4)] == ["\u22120:10", "0:00", "0:10", "0:20", "0:30"]
    assert [words for _, words in time_ticks(0, 3 * 86400, 0, 4)] == ["0 d", "1 d", "2 d", "3 d"]
    assert [words for _, words in time_ticks(0, 7000, 0, 4)][-1] == "1:30:00"
