"""Windows into chunks: each sample once, all of a window or nothing, and after any kill the same as without one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import LockedError, StorageError
from tasks.base.parquet import read_facts
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.ledger import ledger_path, read_ledger, samples_path, series_path
from tasks.telemetry.prometheus.writer import WindowWriter, counted
from tasks.telemetry.samples import read_samples, read_series
from tests.prometheus.history import differing
from tests.prometheus.recorded import fingerprint, held
from tests.telemetry.prometheus.made_up import T0, batch, batched, between, courses_of, labels_of, samples

A, B, C = labels_of("a"), labels_of("b"), labels_of("c")
LENGTH_MS = 2000


@contextmanager
def writing(folder, **more) -> Iterator[WindowWriter]:
    """A writer on *folder*, closed at the end."""
    writer = WindowWriter(folder, **more)
    try:
        yield writer
    finally:
        writer.close()


def state(folder: Path) -> dict[str, bytes]:
    """Every file of *folder* with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def totals(writer: WindowWriter) -> tuple[object, ...]:
    """All that is counted, by label where it is by series."""
    tally = writer.tally
    columns = (tally.count, tally.first_ms, tally.last_ms, tally.falls, tally.last_value.view(np.int64))
    rows = {
        (one.name, *sorted(one.labels.items())): [int(column[one.id]) for column in columns]
        for one in writer.table.since(0)[: len(tally.count)]
    }
    return rows, tally.to_json(), tally.fingerprint, tally.periods.tolist()


# -- windows -----------------------------------------------------------------------------------------------------------


@given(samples(length_ms=LENGTH_MS), st.integers(1, 30))
@settings(deadline=None, max_examples=40)
def test_what_was_written_is_read(tmp_path_factory, courses, size):
    """Bit by bit, however the batches are cut; the ledger tells rows, new series and times."""
    folder = tmp_path_factory.mktemp("recording")
    with writing(folder) as writer:
        rows = writer.write([batched(courses, size)], T0 + LENGTH_MS)
        (entry,) = read_ledger(folder)

    times = [time for points in courses.values() for time in points]
    assert differing(held(folder), courses_of(courses)) == []
    assert rows == entry.rows == len(times)
    assert (entry.new_series, entry.first_ms, entry.last_ms, entry.late) == (len(courses), min(times), max(times), 0)
    assert read_facts(samples_path(folder, 1))["until_ms"] == str(T0 + LENGTH_MS)


def test_two_selectors_that_overlap_give_each_sample_once(tmp_path):
    """A series of both is taken from the first; one that only the second has is there too."""
    both, more = {A: {T0: 1.0, T0 + 1: 2.0}, B: {T0: 3.0}}, {C: {T0: 4.0}}
    with writing(tmp_path) as writer:
        rows = writer.write([batched({A: both[A]}, 1), batched({**both, **more}, 2), batched({**more, B: both[B]}, 10)], T0 + 5)

    assert rows == 4
    assert differing(held(tmp_path), courses_of({**both, **more})) == []
    assert read_samples(tmp_path).duplicates == 0


def test_an_empty_window_leaves_no_chunk_and_moves_on(tmp_path):
    """Its series without samples are kept for later, its watermark is not asked for again."""
    with writing(tmp_path) as writer:
        assert writer.write([[batch({A: {}})]], T0 + 5) == 0
        assert (writer.chunk, writer.until_ms) == (0, T0 + 5)
        assert writer.write([[batch({B: {T0 + 6: 1.0}})]], T0 + 10) == 1
        assert writer.write([[]], T0 + 15) == 0
        assert (writer.chunk, writer.until_ms) == (1, T0 + 15)

    assert differing(held(tmp_path), courses_of({B: {T0 + 6: 1.0}})) == []


# -- overlap -----------------------------------------------------------------------------------------------------------


@st.composite
def arrivals(draw):
    """Samples of three series: (series, time) to the moment from which a server has it."""
    keys = st.tuples(st.sampled_from([A, B, C]), st.integers(0, 299))
    return {key: key[1] + delay for key, delay in draw(st.dictionaries(keys, st.integers(0, 150), max_size=60)).items()}


@given(arrivals(), st.integers(1, 120), st.lists(st.integers(1, 80), min_size=1, max_size=12), st.sets(st.integers(0, 11)))
@settings(deadline=None, max_examples=60)
def test_late_samples_are_taken_and_repeated_ones_recognised(tmp_path_factory, known, overlap_ms, steps, restarts):
    """What a server has within the overlap is there once, whenever it turned up; what turned up later than that is not."""
    folder = tmp_path_factory.mktemp("recording")
    writer, expected, newest, late = WindowWriter(folder, overlap_ms=overlap_ms), {}, {}, 0
    now = 0
    for number, step in enumerate(steps):
        now += step
        if number in restarts:
            writer.close()
            writer = WindowWriter(folder, overlap_ms=overlap_ms)
        start = 0 if writer.until_ms is None else writer.until_ms - T0 + 1 - overlap_ms
        seen = sorted((labels, time) for (labels, time), there in known.items() if there <= now and start <= time <= now)
        new = [key for key in seen if key not in expected]
        late += sum(time < newest.get(labels, -1) for labels, time in new)
        for labels, time in new:
            expected[labels, time] = float(time)
            newest[labels] = max(newest.get(labels, -1), time)
        asked = {labels: {T0 + time: float(time) for other, time in seen if other == labels} for labels, _ in seen}
        assert writer.write([batched(asked, 7)], T0 + now) == len(new)
    writer.close()

    courses = {labels: {T0 + time: value for (other, time), value in expected.items() if other == labels} for labels, _ in expected}
    assert differing(held(folder), courses_of(courses)) == []
    assert writer.tally.late == late
    assert writer.tally.fingerprint == counted(folder).fingerprint


def test_a_mark_is_counted_once(tmp_path):
    """Stale markers come again with every overlapping window and with every selector, without being new."""

    def window(*marks):
        places, times = np.array([place for place, _ in marks], np.int64), np.array([time for _, time in marks], np.int64)
        return batch({A: {T0: 1.0}, B: {T0: 1.0}}, stale=len(marks), stale_series=places, stale_ms=times)

    with writing(tmp_path, overlap_ms=1000) as writer:
        writer.write([[window((0, T0 + 1))], [window((0, T0 + 1), (1, T0 + 2))]], T0 + 10)
        first = writer.tally.stale
        writer.write([[window((0, T0 + 1), (1, T0 + 2), (1, T0 + 11))]], T0 + 20)
        writer.write([[window((1, T0 + 11))]], T0 + 30)

    assert (first, writer.tally.stale) == (1, 2)


def test_native_histograms_are_counted_once(tmp_path):
    """By name; neither those of the overlap, nor those that two selectors bring, are counted again."""

    def window(*found):
        places, times = np.array([place for place, _ in found], np.int64), np.array([time for _, time in found], np.int64)
        labels = {A: {T0: 1.0}, B: {T0: 1.0}}
        return batch(labels, histograms={"a": len(found)}, histogram_series=places, histogram_ms=times)

    with writing(tmp_path, overlap_ms=1000) as writer:
        writer.write([[window((0, T0 - 5000), (0, T0))], [window((0, T0))]], T0 + 10)
        first = dict(writer.tally.histograms)
        writer.write([[window((0, T0), (1, T0 + 11), (0, T0 + 12))], [window((0, T0 + 12))]], T0 + 20)

        assert (first, writer.tally.histograms) == ({"a": 2}, {"a": 3, "b": 1})


def test_marks_of_unknown_times_are_all_counted(tmp_path):
    """Better too many than none."""
    with writing(tmp_path) as writer:
        writer.write([[batch({A: {T0: 1.0}}, stale=2, duplicates=3, histograms={"h": 4})]], T0 + 10)

    assert (writer.tally.stale, writer.tally.duplicates, writer.tally.histograms) == (2, 3, {"h": 4})
    assert read_samples(tmp_path).duplicates == 3


# -- failures ----------------------------------------------------------------------------------------------------------


class Cut(Exception):
    """The server hung up."""


def failing(batches) -> Iterator[object]:
    """All of *batches*, and then the end of the connection."""
    yield from batches
    raise Cut


@pytest.mark.parametrize(
    "groups", [lambda: [failing([])], lambda: [[batch({B: {T0 + 6: 1.0}})], failing([batch({A: {T0 + 7: 9.0}, C: {T0 + 7: 3.0}})])]]
)
def test_a_window_that_fails_leaves_everything_as_before(tmp_path, groups):
    """Folder, watermark, chunk and tally; and the next window is right, with the series that the failed one brought too."""
    with writing(tmp_path, overlap_ms=10) as writer:
        writer.write([[batch({A: {T0: 1.0}})]], T0 + 5)
        before, counts = state(tmp_path), totals(writer)
        for _ in range(2):
            with pytest.raises(Cut):
                writer.write(groups(), T0 + 10)
        assert state(tmp_path) == before
        assert (writer.chunk, writer.until_ms, totals(writer)[1:]) == (1, T0 + 5, counts[1:])
        writer.write([[batch({C: {T0 + 7: 3.0}, A: {T0: 1.0, T0 + 7: 2.0}, B: {T0 + 8: 4.0}})]], T0 + 10)

    assert differing(held(tmp_path), courses_of({A: {T0: 1.0, T0 + 7: 2.0}, B: {T0 + 8: 4.0}, C: {T0 + 7: 3.0}})) == []
    assert counted(tmp_path).fingerprint == writer.tally.fingerprint
    assert len(read_series(tmp_path)) == 3


KILLS = ("none", "before the chunk", "before its line", "in its line", "half a file")


def killed(folder: Path, how: str, spare: Path) -> None:
    """What a kill leaves at this point of the newest window; *spare* is the folder before it."""
    newest = len(read_ledger(folder))
    lines = ledger_path(folder).read_bytes().splitlines(keepends=True) if newest else []
    if how in ("before its line", "in its line") and lines:
        ledger_path(folder).write_bytes(b"".join(lines[:-1]) + (lines[-1][: len(lines[-1]) // 2] if how == "in its line" else b""))
    if how == "before the chunk":  # its series are there, the samples are not
        path = series_path(folder, newest)
        raw = path.read_bytes() if newest and path.exists() else None
        shutil.rmtree(folder)
        shutil.copytree(spare, folder)
        if raw is not None and not path.exists():
            path.write_bytes(raw)
    if how == "half a file":
        (folder / "samples" / ".000009.parquet.abcd.tmp").write_bytes(b"PAR1")
        (folder / "series" / ".000009.parquet.abcd.tmp").write_bytes(b"")


@given(
    samples(length_ms=LENGTH_MS),
    st.lists(st.tuples(st.integers(0, LENGTH_MS - 1), st.sampled_from(KILLS)), max_size=6),
    st.integers(1, 20),
)
@settings(deadline=None, max_examples=25)
def test_any_split_and_any_kill_give_the_same(tmp_path_factory, courses, cuts, size):
    """Table, fingerprint and counts of a resumed recording are those of one that was written in one go."""
    base = tmp_path_factory.mktemp("recordings")
    whole, parts, spare = base / "whole", base / "parts", base / "spare"
    with writing(whole) as writer:
        writer.write([[batch(courses)]], T0 + LENGTH_MS)
    writer_of_parts = WindowWriter(parts)
    queue = [*sorted(cuts), (LENGTH_MS, "none")]
    while queue:
        cut, kill = queue.pop(0)
        start = T0 if writer_of_parts.until_ms is None else writer_of_parts.until_ms + 1
        shutil.rmtree(spare, ignore_errors=True)
        shutil.copytree(parts, spare)
        writer_of_parts.write([batched(between(courses, start, T0 + cut), size)], T0 + cut)
        if kill != "none":
            writer_of_parts.close()
            killed(parts, kill, spare)
            writer_of_parts = WindowWriter(parts)
            assert writer_of_parts.until_ms is None or writer_of_parts.until_ms <= T0 + cut
    writer_of_parts.close()

    assert differing(held(parts), held(whole).values()) == []
    assert totals(writer_of_parts) == totals(writer)
    assert int(fingerprint(parts), 16) == int(fingerprint(whole), 16) == writer.tally.fingerprint == counted(parts).fingerprint


def test_series_keep_their_numbers(tmp_path):
    """Over restarts, for each generation of windows; new ones follow."""
    with writing(tmp_path) as writer:
        writer.write([[batch({B: {T0: 1.0}, A: {T0: 1.0}})]], T0 + 5)
    first = read_series(tmp_path)
    with writing(tmp_path) as writer:
        writer.write([[batch({C: {T0 + 6: 1.0}, A: {T0 + 6: 2.0}})]], T0 + 10)
    second = read_series(tmp_path)

    assert [(one.id, one.name) for one in second] == [(0, "b"), (1, "a"), (2, "c")]
    assert second[:2] == first


def test_what_was_left_out_outlives_a_restart(tmp_path):
    """Marks, repeated samples and histograms are in no chunk; still the counts go on from where they stood."""
    with writing(tmp_path) as writer:
        writer.write([[batch({A: {T0: 1.0}}, stale=2, duplicates=3, histograms={"h": 4})]], T0 + 5)
        writer.write([[batch({}, stale=5)]], T0 + 10)
        writer.write([[batch({A: {T0 + 11: 1.0}}, histograms={"h": 1, "g": 2})]], T0 + 15)
    with writing(tmp_path) as again:
        assert totals(again) == totals(writer)
        assert (again.tally.stale, again.tally.duplicates, again.tally.histograms) == (7, 3, {"h": 5, "g": 2})


# -- the folder ---------------------------------------------------------------------------------------------------------


def test_a_ledger_line_that_a_kill_took_comes_back_as_it_was(tmp_path):
    """What was left out of the chunk, and what in it came late, no row of it shows."""
    with writing(tmp_path, overlap_ms=10_000) as writer:
        writer.write([[batch({A: {T0 + 5: 1.0}})]], T0 + 5)
        writer.write([[batch({A: {T0 + 3: 2.0, T0 + 8: 1.0}}, duplicates=4)]], T0 + 9)
    lines = ledger_path(tmp_path).read_text().splitlines(keepends=True)
    ledger_path(tmp_path).write_text(lines[0])
    with writing(tmp_path) as again:
        assert again.chunk == 2

    assert ledger_path(tmp_path).read_text().splitlines(keepends=True) == lines
    assert (read_ledger(tmp_path)[1].duplicates, read_ledger(tmp_path)[1].late) == (4, 1)


def test_one_writer_a_folder(tmp_path):
    """A second one is refused until the first lets go."""
    with writing(tmp_path), pytest.raises(LockedError):
        WindowWriter(tmp_path)
    with writing(tmp_path) as writer:
        assert writer.until_ms is None


@pytest.mark.parametrize(
    "facts", [{}, {"until_ms": "soon"}, {"until_ms": "5"}, {"until_ms": "5", "stale": "0", "duplicates": "0", "histograms": "[]"}]
)
def test_a_chunk_that_does_not_say_how_far_it_goes_is_refused(tmp_path, facts):
    """Whoever goes on behind it would leave a hole or ask twice."""
    from tasks.telemetry.packed import PackedWriter

    with writing(tmp_path) as writer:
        writer.write([[batch({A: {T0: 1.0}})]], T0 + 5)
    with PackedWriter(samples_path(tmp_path, 1)) as file:
        file.add(np.array([0], np.int32), np.array([T0], np.int64), np.array([1.0]))
        file.finish(facts)
    (entry,) = [json.loads(line) for line in ledger_path(tmp_path).read_text().splitlines()]
    assert entry["rows"] == 1
    ledger_path(tmp_path).unlink()

    with pytest.raises(StorageError, match="does not say until when") as refused:
        WindowWriter(tmp_path)
    assert refused.value.next_step


def test_a_scrapers_folder_is_not_gone_on_with(tmp_path):
    """Its chunks have no watermark."""
    scraped = ChunkWriter(tmp_path)
    scraped.add(T0, [scraped.table.number("service", "s", "m", {})], [1.0])
    scraped.flush()
    scraped.close()

    with pytest.raises(StorageError, match="does not say until when"):
        WindowWriter(tmp_path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.97])
def test_a_damaged_chunk_is_not_gone_on_with(tmp_path, place):
    """A byte that was turned is an error, not a number."""
    with writing(tmp_path) as writer:
        for number in range(3):
            courses = {A: {T0 + 100 * number + at: at / 7 for at in range(50)}}
            writer.write([[batch(courses)]], T0 + 100 * number + 99)
    path = samples_path(tmp_path, 2)
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * place)] ^= 4
    path.write_bytes(raw)

    with pytest.raises(StorageError):
        read_samples(tmp_path)
    with pytest.raises(StorageError):
        WindowWriter(tmp_path)


def test_labels_alone_make_a_series(tmp_path):
    """Two series whose names and values only look alike are two; the same labels in another window are the same series."""
    odd = [
        labels_of("m", a="b,c=d"),
        labels_of("m", a="b", c="d"),
        labels_of("m"),
        labels_of("", a="b"),
        labels_of("m", a='"'),
        labels_of("m", a="\\"),
    ]
    with writing(tmp_path) as writer:
        for window in range(2):
            courses = {labels: {T0 + 10 * window + place: float(place)} for place, labels in enumerate(odd)}
            writer.write([[batch(courses)]], T0 + 10 * window + 9)
    with writing(tmp_path) as writer:
        writer.write([[batch({labels: {T0 + 20 + place: float(place)} for place, labels in enumerate(odd)})]], T0 + 29)
    expected = {labels: {T0 + 10 * window + place: float(place) for window in range(3)} for place, labels in enumerate(odd)}

    assert len(read_series(tmp_path)) == len(odd)
    assert differing(held(tmp_path), courses_of(expected)) == []


def test_opening_again_changes_nothing(tmp_path):
    """Once more opened and closed, nothing is counted twice and nothing is written."""
    with writing(tmp_path) as writer:
        for number in range(20):
            writer.write([[batch({A: {T0 + number: float(number)}})]], T0 + number)
        before, files = totals(writer), state(tmp_path)
    with writing(tmp_path) as writer:
        assert totals(writer) == before
        assert state(tmp_path) == files
        assert (writer.chunk, writer.until_ms) == (20, T0 + 19)
