"""Counts of reliability: kept test by test, so that a session of one suite, file or test takes nothing away from the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger import Book, Entry, Ledger, joined, merged, read_entries, still_there, write_entries

HERE = "tests/docs/test_ledger.py"
A, B, OTHER = f"{HERE}::test_a[1]", f"{HERE}::test_a[2]", "tests/docs/test_pages.py::test_b"


def entry(test: str, tried: int = 1, row: int = 11) -> Entry:
    """Of an earlier session; everything survived."""
    return Entry(row, "processes", test, "kill", 4, tried, tried)


def session(*tests: str, tries: int = 1) -> Book:
    """What these tests count now."""
    book = Book()
    for test in tests:
        book.asked.add(test)
        for _ in range(tries):
            Ledger(book, test).count(row=11, fault="kill", survived=True)
    return book


def counts(entries: list[Entry]) -> dict[str, int]:
    """Tries by test."""
    return {one.test: one.tried for one in entries}


def test_a_test_that_ran_replaces_its_own_entries_alone():
    """Those of other tests stay: of the same function, of other files."""
    found = merged([entry(A, 5), entry(A, 5, row=12), entry(B, 6), entry(OTHER, 7)], session(A, tries=2), [A], ())

    assert counts(found) == {A: 2, B: 6, OTHER: 7}


def test_a_test_that_ran_and_counted_nothing_has_no_entry():
    """It failed before its first try: what it counted once is no figure of today."""
    book = session()
    book.asked.add(A)

    assert counts(merged([entry(A), entry(B)], book, [A, B], ())) == {B: 1}


def test_what_is_no_longer_in_a_file_that_was_run_whole_goes():
    """A parameter that was taken away; files that were not run whole keep what they have."""
    found = merged([entry(A), entry(B), entry(OTHER)], session(A), [A], {HERE})

    assert counts(found) == {A: 1, OTHER: 1}


def test_a_try_is_lost_until_it_is_said_to_have_survived():
    """A test that fails in the middle leaves it counted."""
    book = Book()
    ledger = Ledger(book, A)
    ledger.begin(row=23, fault="kill", where="fake")
    ledger.begin(row=23, fault="kill", where="fake").survived("1 s")

    (found,) = book.entries.values()
    assert (found.tried, found.survived, found.figure) == (2, 1, "1 s")


def test_suites_are_joined_and_a_test_that_is_gone_is_named(tmp_path: Path):
    """Its figures are left out, not carried along."""
    here = f"{HERE}::test_suites_are_joined_and_a_test_that_is_gone_is_named"
    write_entries(tmp_path / "a.json", [entry(here, 3), entry(f"{HERE}::test_gone[x]")])
    write_entries(tmp_path / "b.json", [entry("tests/docs/no_such_file.py::test_c")])

    entries, gone = joined([tmp_path / "a.json", tmp_path / "b.json", tmp_path / "none.json"])

    assert counts(entries) == {here: 3}
    assert gone == ["tests/docs/no_such_file.py::test_c", f"{HERE}::test_gone[x]"]
    assert entry(here, 3) in read_entries(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "[]", '{"entries": [{"row": 1, "test": ["a"]}]}', '{"entries": 3}'])
def test_a_file_of_another_form_holds_no_figures(tmp_path: Path, text: str):
    """Nobody guesses what it meant."""
    (tmp_path / "a.json").write_text(text)

    assert read_entries(tmp_path / "a.json") == []


def test_methods_of_classes_are_found():
    """A node id with a class in it."""
    assert still_there("tests/live/test_provider.py::TestKubeProviderLive::name")
    assert not still_there("tests/live/test_provider.py::TestKubeProviderLive::nam")
