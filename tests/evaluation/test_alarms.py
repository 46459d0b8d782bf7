"""When an alarm opens and closes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.alarms import Alarm, alarms, in_alarm

NAN = float("nan")


def _raise(text: str, **rule) -> list[tuple[float, float]]:
    """Alarms of rows 0, 1, ...: x exceeds, = equals the threshold, . is quiet, ? has no score."""
    scores = [{"x": 2.0, "=": 1.0, ".": 0.0, "?": NAN}[letter] for letter in text]
    return [(a.open_s, a.close_s) for a in alarms(np.arange(len(text)), scores, 1.0, **rule)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("..x.....", []),
        ("..xx.......", [(3, 8)]),
        ("..x.x.......", [(4, 9)]),
        ("..x..x......", []),
        ("..==........", []),
        ("..x?x......", [(4, 9)]),
        ("..??????", []),
        ("xx....xx.....", [(1, 12)]),
        ("xx.....xx.....", [(1, 6), (8, 13)]),
        ("...xx", [(4, 5)]),
        ("", []),
    ],
)
def test_two_of_three_open_and_five_quiet_rows_close(text, expected):
    """The row that completes the rule opens; strictly above only; a row without a score raises nothing."""
    assert _raise(text) == expected


def test_other_rules():
    """Persistence and closing are settings."""
    assert _raise("x..x", persistence=(1, 1), close_after=1) == [(0, 1), (3, 4)]
    assert _raise("xxx.xx", persistence=(3, 3), close_after=2) == [(2, 6)]


def _one_by_one(scores, threshold, needed, among, close_after):
    """The rule as a machine that sees a row at a time."""
    open_at, quiet, found, recent = None, 0, [], []
    for row, score in enumerate(scores):
        exceeds = score > threshold
        recent = [*recent, exceeds][-among:]
        quiet = 0 if exceeds else quiet + 1
        if open_at is None and exceeds and sum(recent) >= needed:
            open_at = row
        elif open_at is not None and quiet >= close_after:
            found.append((float(open_at), float(row)))
            open_at = None
    return [*found, (float(open_at), float(len(scores)))] if open_at is not None else found


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, NAN]), min_size=2, max_size=60), st.integers(1, 4), st.integers(0, 3), st.integers(1, 6))
def test_the_same_as_seeing_one_row_at_a_time(scores, needed, more, close_after):
    """What is found at once is what a live machine would raise."""
    among = needed + more

    found = alarms(np.arange(len(scores)), scores, 1.0, persistence=(needed, among), close_after=close_after)

    assert [(a.open_s, a.close_s) for a in found] == _one_by_one(scores, 1.0, needed, among, close_after)


def test_an_alarm_is_open_from_its_opening_up_to_its_closing_row():
    """The closing row is no longer in alarm."""
    assert in_alarm(np.arange(8), [Alarm(1, 3), Alarm(5, 8)]).tolist() == [False, True, True, False, False, True, True, True]
    assert not in_alarm(np.arange(3), []).any()
