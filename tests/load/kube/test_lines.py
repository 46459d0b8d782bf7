"""Numbered lines, read again and again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.load.kube.lines import Sequence, parsed
from tests.load.kube.robot import Robot


def said(count):
    """The lines of one process."""
    robot = Robot()
    return [parsed(robot.say("ready")) for _ in range(count)]


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 30)), max_size=12), st.randoms())
def test_readings_in_any_overlap_give_each_line_once_and_in_order(count, readings, random):
    """Pieces of a log, cut anywhere, in any order and repeated, then all of it: what comes out is the log."""
    log, sequence = said(count), Sequence()
    pieces = [log[start:end] for start, end in readings]
    random.shuffle(pieces)

    taken = [line for piece in [*pieces, log] for given in piece for line in sequence.take(given)]

    assert taken == log
    assert (sequence.lost, sequence.has_hole) == (0, False)


@given(st.sets(st.integers(1, 30), min_size=1))
def test_what_nobody_has_is_counted_and_what_follows_is_taken(kept):
    """Lines that are gone for good are holes: each is counted, and the later ones are not lost with them."""
    log, sequence, taken = said(30), Sequence(), []
    for line in log:
        if line.number in kept:
            taken += sequence.take(line)
            taken += sequence.give_up()

    assert [line.number for line in taken] == sorted(kept)
    assert sequence.lost == max(kept) - len(kept)


def test_other_things_that_a_container_says_are_no_lines():
    """Warnings, half a line, JSON of another form."""
    whole = Robot().say("ready")

    found = [parsed(raw) for raw in (b"[2026-11-26] worker/WARNING: slow", whole[:20], b"[1]", b"{}", b"\xff", whole)]

    assert [line is None for line in found] == [True] * 5 + [False]
