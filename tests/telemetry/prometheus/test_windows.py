"""Windows tile a span of time; their cuts and their length follow from the clock and the load alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.prometheus.windows import Window, halves, step_for, windows

TIMES = st.integers(-(10**13), 10**13)


def test_windows_are_cut_at_multiples_of_the_step() -> None:
    """The first and the last one are as short as the span wants; those between are whole."""
    assert list(windows(7_000, 31_500, 10_000)) == [
        Window(7_000, 9_999),
        Window(10_000, 19_999),
        Window(20_000, 29_999),
        Window(30_000, 31_500),
    ]


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "expected"),
    [
        (0, 9, [Window(0, 9)]),
        (9, 10, [Window(9, 9), Window(10, 10)]),
        (-11, -10, [Window(-11, -11), Window(-10, -10)]),
        (5, 5, [Window(5, 5)]),
        (6, 5, []),
    ],
)
def test_ends_are_inclusive(start_ms: int, end_ms: int, expected: list[Window]) -> None:
    """A single millisecond is a window; an empty span has none; time before 1970 is cut alike."""
    assert list(windows(start_ms, end_ms, 10)) == expected


@given(TIMES, st.integers(0, 10**9), st.integers(10**7, 10**9))
def test_windows_tile_the_span(start_ms: int, length_ms: int, step_ms: int) -> None:
    """Every millisecond is in one window and one only, and none is longer than the step."""
    found = list(windows(start_ms, start_ms + length_ms, step_ms))

    assert (found[0].start_ms, found[-1].end_ms) == (start_ms, start_ms + length_ms)
    assert all(after.start_ms == before.end_ms + 1 for before, after in pairwise(found))
    assert all(1 <= one.length_ms <= step_ms for one in found)
    assert sum(one.length_ms for one in found) == length_ms + 1


@given(TIMES, st.integers(0, 10**9), st.integers(10**7, 10**9), st.data())
def test_windows_do_not_depend_on_where_one_began(start_ms: int, length_ms: int, step_ms: int, data: st.DataObject) -> None:
    """Going on from the start of any window gives the windows that were left."""
    found = list(windows(start_ms, start_ms + length_ms, step_ms))
    done = data.draw(st.integers(0, len(found) - 1))

    assert list(windows(found[done].start_ms, start_ms + length_ms, step_ms)) == found[done:]


@given(TIMES, st.integers(1, 10**9))
def test_halves_are_the_window(start_ms: int, length_ms: int) -> None:
    """The halves are neither empty nor do they overlap, and their lengths differ by a millisecond at most."""
    first, second = halves(Window(start_ms, start_ms + length_ms))

    assert (first.start_ms, first.end_ms + 1, second.end_ms) == (start_ms, second.start_ms, start_ms + length_ms)
    assert 0 <= first.length_ms - second.length_ms <= 1


@pytest.mark.parametrize("end_ms", [5, 4])
def test_a_single_millisecond_has_no_halves(end_ms: int) -> None:
    """There is no smaller question than that for one millisecond."""
    with pytest.raises(ValueError, match="has no halves"):
        halves(Window(5, end_ms))


@pytest.mark.parametrize(
    ("series", "interval_s", "samples_at_most", "expected_ms"),
    [
        (1000, 5.0, 1_000_000, 5_000_000),
        (1000, 0.25, 10_000, 2_000),
        (3, 15.0, 10, 45_000),
        (1000, 0.3, 5_000, 1_000),
        (2_000_000, 5.0, 1_000_000, 1_000),
        (10, 5.0, 1_000_000, 21_600_000),
        (0, 5.0, 1, 5_000),
        (1, 5e300, 1_000_000, 21_600_000),
        (1, 5e-324, 1, 1_000),
    ],
)
def test_the_step_follows_from_the_load(series: int, interval_s: float, samples_at_most: int, expected_ms: int) -> None:
    """Whole seconds, as many as the samples allow, between one second and six hours."""
    assert step_for(series, interval_s, samples_at_most) == expected_ms


@given(st.integers(1, 10**5), st.integers(1, 600), st.integers(10**5, 10**7), st.integers(0, 10**6))
def test_a_window_holds_no_more_samples_than_allowed(series: int, interval_s: int, samples_at_most: int, phase_ms: int) -> None:
    """However the scrapes fall, a window of regular series that is above the shortest has no sample too many."""
    step_ms = step_for(series, interval_s, samples_at_most)
    interval_ms = interval_s * 1000

    first = -(-phase_ms // interval_ms)
    last = (phase_ms + step_ms - 1) // interval_ms
    assert step_ms == 1000 or series * (last - first + 1) <= samples_at_most


@pytest.mark.parametrize(
    ("series", "interval_s", "samples_at_most"), [(1, 0.0, 1), (1, float("inf"), 1), (1, float("nan"), 1), (-1, 1.0, 1), (1, 1.0, 0)]
)
def test_no_step_follows_from_nonsense(series: int, interval_s: float, samples_at_most: int) -> None:
    """No interval, or less than no series, is a mistake of the caller."""
    with pytest.raises(ValueError, match="series every"):
        step_for(series, interval_s, samples_at_most)


def test_no_windows_without_a_length() -> None:
    """The mistake is told at the call, not when the first window is asked for."""
    with pytest.raises(ValueError, match="windows of 0 ms"):
        windows(0, 1, 0)
