"""Parquet with checksums: written, and verified on reading."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.base.errors import StorageError
from tasks.base.parquet import read_table, write_table

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
