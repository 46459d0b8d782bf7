"""Parquet with checksums: written, and verified on reading."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest

from tasks.base.errors import StorageError
from tasks.base.parquet import GroupWriter, read_facts, read_table, write_table

TABLE = pa.table(
    {
        "series": pa.array(np.repeat(np.arange(5, dtype=np.int32), 40)),
        "time_ms": pa.array(np.tile(np.arange(40, dtype=np.int64) * 1000, 5)),
        "value": pa.array(np.random.default_rng(1).normal(size=200)),
        "name": pa.array(["a", "b", None, "dé"] * 50),
    }
)
ENCODING = {"series": "DELTA_BINARY_PACKED", "time_ms": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}


def test_a_table_is_read_as_it_was_written(tmp_path):
    """Values, types and nulls, with encodings and without."""
    write_table(tmp_path / "plain", TABLE)
    write_table(tmp_path / "encoded", TABLE, column_encoding=ENCODING)

    assert read_table(tmp_path / "plain").equals(TABLE)
    assert read_table(tmp_path / "encoded").equals(TABLE)
    assert read_table(tmp_path / "encoded", ["value"]).column_names == ["value"]


def test_an_empty_table_keeps_its_columns(tmp_path):
    """No rows is a table too."""
    write_table(tmp_path / "a", TABLE.slice(0, 0), column_encoding=ENCODING)

    assert read_table(tmp_path / "a").schema.equals(TABLE.schema)


def test_a_flipped_byte_of_the_values_is_an_error(tmp_path):
    """Every byte of the pages is covered: whichever is flipped, no other values are read."""
    path = tmp_path / "a"
    write_table(path, TABLE, column_encoding=ENCODING)
    whole = path.read_bytes()
    silent = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            if not read_table(path).equals(TABLE):
                silent.append(position)
        except StorageError:
            continue

    assert not [position for position in silent if position < _footer(whole)]


def _footer(whole: bytes) -> int:
    """Where the footer begins: names and offsets, which the manifest's SHA-256 guards."""
    return len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")


@pytest.mark.parametrize("cut", [0, 1, 4, 50, -1, -8])
def test_a_torn_file_is_an_error(tmp_path, cut):
    """Whatever its length."""
    write_table(tmp_path / "a", TABLE)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:cut])

    with pytest.raises(StorageError, match="is not the Parquet file that was written"):
        read_table(tmp_path / "a")


def test_a_missing_file_is_an_error_with_a_next_step(tmp_path):
    """The way out is named."""
    with pytest.raises(StorageError) as caught:
        read_table(tmp_path / "none")
    assert "verify" in caught.value.next_step


# -- by row groups -----------------------------------------------------------------------------------------------------------


def columns(table):
    """Its columns as a writer of groups takes them."""
    return [column.combine_chunks() for column in table.columns]


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As on a disk that is full by then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_groups_are_one_table(tmp_path):
    """In their order, with facts; until the end nothing is there, and afterwards nothing else."""
    with GroupWriter(tmp_path / "a", TABLE.schema, ENCODING) as writer:
        for start in (0, 70, 140):
            writer.add(columns(TABLE.slice(start, 70)))
        assert not (tmp_path / "a").exists()
        writer.finish({"fact": "1"})

    assert read_table(tmp_path / "a").combine_chunks().equals(TABLE.combine_chunks())
    assert list(map(len, read_table(tmp_path / "a").column("value").chunks)) == [70, 70, 60]
    assert read_table(tmp_path / "a", content=(tmp_path / "a").read_bytes()).equals(read_table(tmp_path / "a"))
    assert read_facts(tmp_path / "a") == {"fact": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_finished_leaves_nothing(tmp_path):
    """Neither a file nor a part of one, whatever went wrong."""

    def write():
        with GroupWriter(tmp_path / "a", TABLE.schema, ENCODING) as writer:
            writer.add(columns(TABLE))
            raise KeyError

    with pytest.raises(KeyError):
        write()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 10, 1000, 3000, 6000])
def test_a_full_disk_leaves_nothing(tmp_path, size):
    """Wherever the space ends: a sentence, and what was there before."""
    (tmp_path / "a").write_bytes(b"before")

    def write():
        with GroupWriter(tmp_path / "a", TABLE.schema, ENCODING) as writer:
            for _ in range(4):
                writer.add(columns(TABLE))
            writer.finish({})

    with no_file_longer_than(size), pytest.raises(StorageError, match="no space left"):
        write()

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"before")]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    """As any other file that cannot be written."""
    with pytest.raises(StorageError, match="cannot write"):
        GroupWriter(tmp_path / "none" / "a", TABLE.schema, ENCODING)
