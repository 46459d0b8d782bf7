"""Chunks: what is added comes back, whole, once, in order, also after the writer was started again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import LockedError, StorageError
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.ledger import ledger_path, read_ledger, samples_path, series_path
from tasks.telemetry.samples import Samples, read_samples, read_series

T0 = 1_700_000_000_000


def table(samples: Samples) -> list[tuple[int, int, float]]:
    return list(zip(samples.series.tolist(), samples.time_ms.tolist(), samples.value.tolist(), strict=True))


def test_samples_come_back_in_order_of_series_and_time(writer: ChunkWriter) -> None:
    """Two scrapes of two series, one with a time of its own, make one sorted chunk and its table of series."""
    a = writer.table.number("service", "orders", "a_total", {"z": "1", "y": '"\n,'})
    b = writer.table.number("node", "node", "b", {})
    writer.add(T0, [b, a], [1.0, 2.0])
    writer.add(T0 + 1000, [b, a], [3.0, float("nan")], {0: T0 + 77})

    entry = writer.flush()

    assert entry is not None
    assert (entry.chunk, entry.rows, entry.new_series, entry.first_ms, entry.last_ms) == (1, 4, 2, T0, T0 + 1000)
    assert str(table(read_samples(writer.folder))) == str([(a, T0, 2.0), (a, T0 + 1000, float("nan")), (b, T0, 1.0), (b, T0 + 77, 3.0)])
    assert [(one.service, one.role, one.name, one.labels) for one in read_series(writer.folder)] == [
        ("orders", "service", "a_total", {"y": '"\n,', "z": "1"}),
        ("node", "node", "b", {}),
    ]


def test_reading_on_from_a_chunk(writer: ChunkWriter) -> None:
    """``since_chunk`` gives the later chunks only, and says where to go on."""
    number = writer.table.number("service", "s", "m", {})
    for step in range(3):
        writer.add(T0 + step, [number], [float(step)])
        writer.flush()

    later, nothing = read_samples(writer.folder, since_chunk=1), read_samples(writer.folder, since_chunk=3)

    assert (later.value.tolist(), later.last_chunk) == ([1.0, 2.0], 3)
    assert (len(nothing.series), nothing.last_chunk) == (0, 3)


def test_an_empty_flush_writes_nothing(writer: ChunkWriter) -> None:
    """A folder without chunks reads as an empty recording."""
    assert writer.flush() is None
    assert len(read_samples(writer.folder).series) == 0
    assert read_series(writer.folder) == ()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 9)),
        st.sampled_from(["flush", "restart"]),
    ),
    max_size=25,
)


@given(STEPS)
@settings(deadline=None, max_examples=40)
def test_flushes_and_restarts_do_not_change_the_table(tmp_path_factory: pytest.TempPathFactory, steps: list[object]) -> None:
    """However samples are spread over chunks and writers: each moment of a series once, the first one counts, numbers stay."""
    folder = tmp_path_factory.mktemp("recording")
    writer = ChunkWriter(folder)
    expected: dict[tuple[str, int], float] = {}
    added = 0
    for step in steps:
        if step == "flush":
            writer.flush()
        elif step == "restart":
            writer.flush()
            writer.close()
            writer = ChunkWriter(folder)
        else:
            series, moment, value = step  # type: ignore[misc]
            number = writer.table.number("service", "s", f"m{series}", {})
            writer.add(T0 + moment, [number], [float(value)])
            expected.setdefault((f"m{series}", T0 + moment), float(value))
            added += 1
    writer.flush()
    writer.close()

    samples, series = read_samples(folder), read_series(folder)

    assert {(series[number].name, time_ms): value for number, time_ms, value in table(samples)} == expected
    assert samples.duplicates == added - len(expected)
    assert bool(np.all((np.diff(samples.series) > 0) | (np.diff(samples.time_ms) > 0)))
    assert len({one.name for one in series}) == len(series)


def test_samples_that_come_late_are_kept_and_counted(writer: ChunkWriter) -> None:
    """An older sample in the same chunk, and one in a later chunk, are data; they are counted as out of order."""
    number = writer.table.number("service", "s", "m", {})
    for moments in ([5, 3], [4, 9]):
        for moment in moments:
            writer.add(T0 + moment, [number], [float(moment)])
        writer.flush()

    samples = read_samples(writer.folder)

    assert samples.value.tolist() == [3.0, 4.0, 5.0, 9.0]
    assert (samples.out_of_order, samples.duplicates) == (2, 0)


def test_one_writer_a_folder(writer: ChunkWriter) -> None:
    """A second writer is refused until the first one let go, or died."""
    with pytest.raises(LockedError):
        ChunkWriter(writer.folder)

    writer.close()
    ChunkWriter(writer.folder).close()


def test_a_new_writer_clears_up_after_a_killed_one(folder: Path) -> None:
    """Temporary files, series of a chunk that never came, and half a ledger line go; the chunk without its line gets it, as it was."""
    writer = ChunkWriter(folder)
    first = writer.table.number("service", "s", "first", {})
    for moments in ([0], [1, 0, 1]):  # of the second two are there already, and one comes late
        for moment in moments:
            writer.add(T0 + moment, [first], [1.0])
        writer.flush()
    writer.close()
    lines = ledger_path(folder).read_text().splitlines(keepends=True)
    assert (read_ledger(folder)[1].duplicates, read_ledger(folder)[1].late) == (2, 1)
    ledger_path(folder).write_text(lines[0] + lines[1][:40])
    (folder / "samples" / ".000003.parquet.0a0a0a0a.tmp").write_bytes(b"half")
    series_path(folder, 3).write_bytes(series_path(folder, 1).read_bytes())

    again = ChunkWriter(folder)
    other = again.table.number("service", "s", "other", {})
    again.add(T0 + 2, [first, other], [1.0, 2.0])
    entry = again.flush()
    again.close()

    assert ledger_path(folder).read_text().splitlines(keepends=True)[:2] == lines
    assert entry is not None
    assert (entry.chunk, other) == (3, 1)
    assert table(read_samples(folder)) == [(0, T0, 1.0), (0, T0 + 1, 1.0), (0, T0 + 2, 1.0), (1, T0 + 2, 2.0)]
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "000001.parquet",
        "000001.parquet",
        "000002.parquet",
        "000003.parquet",
        "000003.parquet",
        "chunks.jsonl",
    ]


def test_a_reader_sees_no_series_of_a_chunk_that_is_not_there_yet(writer: ChunkWriter) -> None:
    """Between the two files of a chunk, a reader sees the state before it."""
    number = writer.table.number("service", "s", "m", {})
    writer.add(T0, [number], [1.0])
    writer.flush()
    series_path(writer.folder, 2).write_bytes(series_path(writer.folder, 1).read_bytes())

    assert [one.id for one in read_series(writer.folder)] == [0]


def test_the_newest_chunk_counts_before_its_ledger_line(writer: ChunkWriter) -> None:
    """A chunk is there once it is renamed into place; two without lines are not the writer's doing."""
    number = writer.table.number("service", "s", "m", {})
    for moment in range(3):
        writer.add(T0 + moment, [number], [1.0])
        writer.flush()
    lines = ledger_path(writer.folder).read_text().splitlines(keepends=True)

    ledger_path(writer.folder).write_text("".join(lines[:2]))
    assert len(read_samples(writer.folder).series) == 3
    ledger_path(writer.folder).write_text("".join(lines[:1]))
    with pytest.raises(StorageError, match="chunk 000002"):
        read_samples(writer.folder)


@pytest.mark.parametrize("missing", ["samples/000001.parquet", "samples/000002.parquet", "series/000001.parquet", "series/000002.parquet"])
def test_a_missing_file_is_an_error(writer: ChunkWriter, missing: str) -> None:
    """Less data than the ledger tells is never read as if that were all."""
    for moment in range(2):
        writer.add(T0 + moment, [writer.table.number("service", "s", f"m{moment}", {})], [1.0])
        writer.flush()
    (writer.folder / missing).unlink()

    with pytest.raises(StorageError):
        (read_series(writer.folder), read_samples(writer.folder))


def test_files_swapped_are_noticed(writer: ChunkWriter) -> None:
    """Two good chunks in each other's place are not what was written."""
    number = writer.table.number("service", "s", "m", {})
    for moment in range(2):
        writer.add(T0 + moment, [number], [1.0])
        writer.flush()
    a, b = samples_path(writer.folder, 1), samples_path(writer.folder, 2)
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)

    with pytest.raises(StorageError, match=r"000001\.parquet is not the file that was written"):
        read_samples(writer.folder)


def test_a_batch_that_could_not_be_written_is_tried_again(writer: ChunkWriter) -> None:
    """After a failed commit nothing is visible; the next flush writes the same samples and the newer ones."""
    number = writer.table.number("service", "s", "m", {})
    writer.add(T0, [number], [1.0])
    samples_path(writer.folder, 1).mkdir()
    with pytest.raises(StorageError):
        writer.flush()
    writer.add(T0 + 1, [number], [2.0])
    samples_path(writer.folder, 1).rmdir()
    before = len(read_samples(writer.folder).series)

    writer.flush()

    assert before == 0
    assert table(read_samples(writer.folder)) == [(0, T0, 1.0), (0, T0 + 1, 2.0)]
    assert [entry.rows for entry in read_ledger(writer.folder)] == [1, 1]
