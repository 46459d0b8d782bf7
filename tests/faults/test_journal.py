"""What is written is read back, a torn line hides nothing else, and open means: not known to be over."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.clock import SystemClock
from tasks.base.errors import StorageError
from tasks.faults.journal import Journal, boot_id

CLOCK = SystemClock()


def planned(journal: Journal, fault: str, *, until_s: float = 60.0) -> None:
    limit = {"until_mono_s": CLOCK.monotonic_s() + until_s, "until_wall_s": CLOCK.wall_s() + until_s}
    facts = {"kind": "pause", "target": "orders", "intensity": 0.5, "placebo": False, "duration_s": 8.0, "boot": boot_id()}
    journal.append(fault, "planned", CLOCK, **facts, leader=[1, 2], signature={"session": 3, "command": "a\0b"}, rule=None, **limit)


def test_a_fault_is_open_until_it_is_verified(tmp_path: Path):
    """Every event adds to the entry; only ``verified`` closes it."""
    journal = Journal(tmp_path)
    planned(journal, "t01")
    for event in ("armed", "acting", "acknowledged", "revert_requested", "reverted"):
        facts = {"guard": [4, 5]} if event == "armed" else {"until_mono_s": 0.0, "until_wall_s": 0.0} if event == "acting" else {}
        journal.append("t01", event, CLOCK, **facts)
        entry = journal.entry("t01")
        assert entry is not None
        assert entry.open
    journal.append("t01", "verified", CLOCK)
    entry = journal.entry("t01")

    assert entry is not None
    assert not entry.open
    assert (entry.kind, entry.target, entry.intensity, entry.duration_s) == ("pause", "orders", 0.5, 8.0)
    assert entry.guard is not None
    assert entry.guard.pid == 4
    assert entry.signature is not None
    assert entry.signature.command == "a\0b"
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_torn_last_line_is_told_and_hides_nothing_else(tmp_path_factory: pytest.TempPathFactory, cut: int):
    """Cut the file anywhere in its last record: the first is whole, the tear is counted, and the next record is whole again."""
    journal = Journal(tmp_path_factory.mktemp("journal"))
    planned(journal, "t01")
    first = journal.size()
    planned(journal, "t02")
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[: max(first + 1, len(data) - cut)])
    torn = journal.read()
    planned(journal, "t03")
    after = journal.read()

    assert "t01" in torn.entries
    assert torn.torn == ("t02" not in torn.entries)
    assert {"t01", "t03"} <= set(after.entries)
    assert after.torn == torn.torn


def test_lines_that_are_no_records_are_counted(tmp_path: Path):
    """Neither foreign JSON nor events of an unknown fault change anything."""
    journal = Journal(tmp_path)
    planned(journal, "t01")
    with journal.path.open("ab") as file:
        file.write(
            b'[]\n{"id": 1}\n{"id": "t09", "event": "verified", "wall_s": 1.0}\n{"id": "t01", "event": "exploded", "wall_s": 1.0}\n\xff\n'
        )
    view = journal.read()

    assert view.torn == 5
    assert list(view.entries) == ["t01"]
    assert view.entries["t01"].open


def test_a_fault_is_over_by_either_clock_or_another_start_of_the_machine(tmp_path: Path):
    """A stated end that has passed is over; so is everything of an earlier boot."""
    journal = Journal(tmp_path)
    planned(journal, "t01")
    planned(journal, "t02", until_s=-1.0)
    entries = journal.read().entries

    assert not entries["t01"].over(CLOCK)
    assert entries["t02"].over(CLOCK)
    journal.path.write_bytes(journal.path.read_bytes().replace(boot_id().encode(), b"another"))
    assert journal.read().entries["t01"].over(CLOCK)


def test_nothing_is_said_to_be_written_that_was_not(tmp_path: Path):
    """A folder that cannot be made is a storage error; nothing may act then."""
    (tmp_path / "journal").write_text("a file in the way")
    with pytest.raises(StorageError):
        planned(Journal(tmp_path), "t01")
