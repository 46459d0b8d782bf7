"""Clocks of generators elsewhere."""

import pytest

from tasks.base.errors import StorageError
from tasks.load.clocks import ClockFact, read_shifts, shift_of, write_clocks


@pytest.mark.parametrize(("offset_s", "shift_s"), [(0.0, 0), (0.9, 0), (-0.9, 0), (1.0, 1), (90.4, 90), (-90.6, -91)])
def test_seconds_are_moved_by_whole_seconds_where_it_is_the_clock(offset_s, shift_s):
    """Below one second it may be the time that lines took."""
    assert shift_of(offset_s) == shift_s


def test_what_was_written_is_what_is_read(tmp_path):
    """By name of the raw log; without a file all share our clock."""
    assert read_shifts(tmp_path) == {}

    write_clocks(
        tmp_path, {"raw-000002.jsonl": ClockFact(1, "pod", None, -7.2, 0.0, 3), "raw-000001.jsonl": ClockFact(0, "p", "n", 0.01, 0.0, 9)}
    )

    assert read_shifts(tmp_path) == {"raw-000001.jsonl": 0, "raw-000002.jsonl": -7}


def test_a_damaged_file_is_refused(tmp_path):
    """Seconds are not left where they may be wrong."""
    (tmp_path / "clocks.json").write_text("{")

    with pytest.raises(StorageError):
        read_shifts(tmp_path)
