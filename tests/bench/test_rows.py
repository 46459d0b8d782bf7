"""Rows of the benchmark say what was measured, and nothing that was not."""

from __future__ import annotations

import importlib.util
import json

import pytest

from tests.bench.rows import Goal, Peer, Row, made, merged, read_rows, write_rows
from tests.bench.run import BENCHES, NAMES
from tests.bench.stopwatch import in_turn
from tests.bench.table import page, printed

FIELDS = ["name", "value", "unit", "peer", "peer_value", "ratio", "goal", "met", "machine"]


def row(value: float | None = 2.0, *, goal: Goal | None = None, peer: Peer | None = None, sound: bool = True) -> Row:
    """A row of nothing in particular."""
    return made("area.thing", value, "s", machine="a box", goal=goal, peer=peer, sound=sound)


def test_a_row_has_the_published_fields(tmp_path):
    """In their order; what is written is read back the same."""
    rows = [row(goal=Goal("<", 3.0)), row(None, goal=Goal("<", 3.0)), row(peer=Peer("x 1.0: f()", 4.0))]

    write_rows(tmp_path / "build" / "bench.json", rows)

    assert [sorted(one) for one in json.loads((tmp_path / "build" / "bench.json").read_text())] == [sorted(FIELDS)] * 3
    assert list(rows[0].to_json()) == FIELDS
    assert read_rows(tmp_path / "build" / "bench.json") == rows


@pytest.mark.parametrize(
    "change",
    [
        {"value": "2"},
        {"met": None},
        {"goal": None},
        {"peer": "x"},
        {"extra": 1},
        {"ratio": "1"},
    ],
)
def test_what_is_no_row_is_refused(change):
    """A text for a number, a goal without a verdict, a peer without a figure, a field too many."""
    with pytest.raises(ValueError, match="row"):
        Row.from_json({**row(goal=Goal("<", 3.0)).to_json(), **change})


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("<", 2.0), 2.0, False),
        (Goal("<=", 2.0), 2.0, True),
        (Goal("within", 0.02), 1.019, True),
        (Goal("within", 0.02), 0.979, False),
        (Goal("<", 2.0), None, False),
        (Goal("<", 2.0), float("nan"), False),
    ],
)
def test_a_goal_is_met_or_missed(goal, value, met):
    """On the bound itself, too, and never by a figure that is not there."""
    assert row(value, goal=goal).met is met


def test_a_ratio_is_ours_over_the_peers():
    """Where less is better; "as fast as" turns it round."""
    peer = Peer("x 1.0: f()", 4.0)

    assert row(2.0, goal=Goal("<=", 1.1, "ratio"), peer=peer).ratio == 0.5
    assert row(2.0, goal=Goal(">=", 15, "ratio"), peer=peer).ratio == 2.0
    assert row(2.0, goal=Goal(">=", 15, "ratio"), peer=peer).met is False
    assert row(2.0, goal=Goal("<=", 1.1, "ratio"), peer=peer).met is True


def test_no_ratio_with_a_peer_that_disagrees():
    """Being faster at something else is no success; nor is a result that was found to be wrong."""
    goal = Goal("<=", 1.1, "ratio")
    differing = row(2.0, goal=goal, peer=Peer("x 1.0: f()", 4.0, agrees=False))
    wrong = row(2.0, goal=goal, peer=Peer("x 1.0: f()", 4.0), sound=False)

    assert (differing.ratio, differing.met) == (wrong.ratio, wrong.met) == (None, False)


def test_rows_of_a_part_replace_their_namesakes_only():
    """``--only`` keeps what was measured earlier."""
    old, other = row(1.0), made("other", 5.0, "s", machine="a box")

    assert merged([old, other], [row(2.0), made("new", 1.0, "s", machine="a box")]) == [
        row(2.0),
        other,
        made("new", 1.0, "s", machine="a box"),
    ]


def test_the_page_has_neither_times_nor_machines():
    """Ratios, goals, and what was missed; the terminal gets the times as well."""
    rows = [row(0.777, goal=Goal("<", 0.5)), row(2.0, goal=Goal("<=", 1.1, "ratio"), peer=Peer("x 1.0: f(a | b)", 4.0))]
    text = page(rows)

    assert "| `area.thing` | - | - | < 0.5 s | **missed** |" in text
    assert "| `area.thing` | `x 1.0: f(a \\| b)` | 0.50 | <= 1.1 x the peer | met |" in text
    assert "0.777" not in text
    assert "box" not in text
    assert "0.777 s" in printed(rows)
    assert "MISSED" in printed(rows)
    assert "against x 1.0: f(a | b)" in printed(rows)


def test_what_could_not_be_measured_is_said_to_be_so():
    """Neither a figure nor a miss: there was no cluster; its goal is still not met."""
    absent = row(None, goal=Goal("<=", 1.2, "ratio"))

    assert absent.met is False
    assert "| `area.thing` | - | - | <= 1.2 x the peer | not measured |" in page([absent])
    assert "not measured" in printed([absent])


def test_turns_alternate():
    """Ours, theirs, ours, theirs; the last result of each is kept."""
    calls: list[str] = []

    ours, theirs = in_turn(lambda: calls.append("ours") or len(calls), lambda: calls.append("theirs") or len(calls), rounds=3)

    assert calls == ["ours", "theirs"] * 3
    assert (ours.result, theirs.result) == (5, 6)
    assert len(ours.wall_s) == len(theirs.cpu_s) == 3


def test_every_row_is_named_once_and_has_its_module():
    """The list that ``--only`` looks through."""
    assert len(set(NAMES)) == len(NAMES)
    assert all(importlib.util.find_spec(module) is not None for module in BENCHES)
