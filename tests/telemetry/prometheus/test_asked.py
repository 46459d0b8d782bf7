"""Counts of several processes: added up, remembered, and never a reason to stop."""

from __future__ import annotations

import json

import pytest

from tasks.base.errors import StorageError
from tasks.telemetry.prometheus.asked import COUNTS, FILE, added, remember, remembered


def told(number: int, **warnings: int) -> dict[str, object]:
    """What a process says of the way in."""
    return {"version": f"2.{number}", **dict.fromkeys(COUNTS, number), "warnings": warnings}


def test_counts_and_warnings_are_added_up():
    """What else is said is of the newest process; a warning is as often as it came."""
    assert added(told(3, a=1, b=2), told(4, b=5, c=1)) == told(4, a=1, b=7, c=1) | dict.fromkeys(COUNTS, 7)


def test_where_only_one_spoke_its_word_stands():
    """Before the first, and after one that has not reached the server yet."""
    assert (added(None, told(3)), added(told(3), None), added(None, None)) == (told(3), told(3), None)


def test_what_is_left_is_found(tmp_path):
    """Alone in its file, or inside of what a reader says of itself."""
    remember(tmp_path, told(3, a=1))
    (tmp_path / "collector.json").write_text(json.dumps({"alive": False, "server": told(4)}))

    assert remembered(tmp_path / FILE) == told(3, a=1)
    assert remembered(tmp_path / "collector.json", "server") == told(4)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [FILE, "collector.json"]


@pytest.mark.parametrize(
    "text", [None, "", "{", "null", "[]", '{"server": 5}', "{}", '{"requests": "x", "warnings": {}}', '{"requests": 1, "warnings": 2}']
)
def test_what_cannot_be_added_is_forgotten(tmp_path, text):
    """It is a remark beside the data."""
    if text is not None:
        (tmp_path / FILE).write_text(text)

    assert remembered(tmp_path / FILE) is None
    assert remembered(tmp_path / FILE, "server") is None


def test_a_folder_that_is_gone_is_told(tmp_path):
    """As any other failed write."""
    with pytest.raises(StorageError):
        remember(tmp_path / "absent", told(1))
