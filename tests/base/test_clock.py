"""Time as text and back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.clock import SystemClock, from_iso, iso

MOMENTS = st.integers(0, 4_102_444_800_000).map(lambda ms: ms / 1000)


@given(MOMENTS)
def test_a_time_survives_being_written(moment_s):
    """Exact to a millisecond."""
    assert from_iso(iso(moment_s)) == pytest.approx(moment_s, abs=0.00051)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_times(first, second):
    """UTC with a fixed number of digits, so that files sort and diff by time."""
    assert (first < second) <= (iso(first) <= iso(second))


def test_utc_is_said():
    """The text ends with Z, whatever the machine's zone."""
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"


def test_nothing_stays_nothing():
    """What did not happen has no time."""
    assert iso(None) is None


@pytest.mark.parametrize("text", ["2026-11-24T10:00:00", "2026-11-24", "yesterday", ""])
def test_a_time_without_a_zone_is_refused(text):
    """Nobody guesses the zone of a label."""
    with pytest.raises(ValueError, match=r"zone|[Ii]nvalid"):
        from_iso(text)


def test_other_zones_are_read():
    """The same moment, written elsewhere."""
    assert from_iso("2026-11-24T11:00:00+01:00") == from_iso("2026-11-24T10:00:00Z")


def test_a_negative_sleep_is_none():
    """Being late is no error."""
    begun = time.monotonic()
    SystemClock().sleep(-5)
    assert time.monotonic() - begun < 0.5


def test_monotonic_time_is_that_of_the_boot():
    """Other processes can compare theirs with it."""
    clock = SystemClock()
    assert abs(clock.monotonic_s() - time.clock_gettime(time.CLOCK_MONOTONIC)) < 0.5
    assert abs(clock.wall_s() - time.time()) < 0.5
