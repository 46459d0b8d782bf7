"""The one place that writes and reads Parquet: page checksums are written, and asked for on reading."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.base.errors import StorageError
from tasks.base.files import Draft, storage_error, write_atomically


def write_table(path: Path, table: pa.Table, *, column_encoding: Mapping[str, str] | None = None) -> None:
    """
    Write *table* to *path*, atomically, zstd-compressed, with a checksum a page.

    Args:
        path: The file; its folder exists.
        table: What to write.
        column_encoding: Parquet encoding by column; other columns keep dictionaries.

    Raises:
        StorageError: No space is left; nothing is visible at *path*.
    """
    buffer = io.BytesIO()
    encoding = dict(column_encoding or {})
    dictionary = [name for name in table.column_names if name not in encoding]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionary or False,
        column_encoding=encoding or None,
        write_page_checksum=True,
    )
    write_atomically(path, buffer.getvalue())


class GroupWriter:
    """
    Writes one file a row group at a time, for tables that nobody should hold whole; by ``with``, which leaves nothing of an unfinished one.

    Another thread encodes, compresses and writes a row group while the caller makes the next one.

    Args:
        path: The file, which has no name before :meth:`finish`; its folder exists.
        schema: Its columns.
        column_encoding: Parquet encoding by column; other columns keep dictionaries.
        zstd_level: How hard it is compressed.

    Raises:
        StorageError: No space is left; nothing is visible at *path*.
    """

    def __init__(self, path: Path, schema: pa.Schema, column_encoding: Mapping[str, str], zstd_level: int = 1) -> None:
        self._schema = schema
        self._draft = Draft(path)
        try:
            self._sink = pa.OSFile(str(self._draft.place), "wb")
            self._writer = self._begun(column_encoding, zstd_level)
        except OSError as error:
            self._draft.drop()
            raise storage_error(error, path) from error
        self._hand = ThreadPoolExecutor(1)
        self._busy: Future[None] | None = None

    def _begun(self, column_encoding: Mapping[str, str], zstd_level: int) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            compression_level=zstd_level,
            use_dictionary=[name for name in self._schema.names if name not in column_encoding],
            column_encoding=dict(column_encoding),
            write_page_checksum=True,
            write_statistics=False,
        )

    def add(self, columns: Sequence[pa.Array]) -> None:
        """
        One more row group.

        Raises:
            StorageError: No space is left for the one before it.
        """
        table = pa.Table.from_arrays(list(columns), schema=self._schema)
        self.settle()
        self._busy = self._hand.submit(self._writer.write_table, table, row_group_size=max(1, table.num_rows))

    def finish(self, facts: Mapping[str, str]) -> None:
        """
        Put the file at its path, atomically, with *facts* in its metadata.

        Raises:
            StorageError: No space is left; nothing is visible there.
        """
        self.settle()
        with self._stored():
            self._writer.add_key_value_metadata(dict(facts))
            self._writer.close()
            self._sink.close()
            self._draft.keep()

    def settle(self) -> None:
        """
        Wait until what was added is written, and its columns need no memory any more.

        Raises:
            StorageError: No space is left for it.
        """
        busy, self._busy = self._busy, None
        if busy is not None:
            with self._stored():
                busy.result()

    @contextmanager
    def _stored(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self._draft.path) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hand.shutdown()
        with suppress(OSError):
            self._writer.close()
        with suppress(OSError):
            self._sink.close()
        self._draft.drop()


def read_table(path: Path, columns: Sequence[str] | None = None, content: bytes | None = None) -> pa.Table:
    """
    The table at *path*, its page checksums verified; each row group is a chunk of its columns.

    Args:
        path: The file.
        columns: Which ones; None: all.
        content: What stands in the file, where that was read already: a small one, for which threads do not pay.

    Raises:
        StorageError: It is missing, torn, or a checksum does not match.
    """
    source, small = (path, False) if content is None else (pa.BufferReader(content), True)
    try:
        with pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=not small) as file:
            wanted = None if columns is None else list(columns)
            groups = [file.read_row_group(number, columns=wanted, use_threads=not small) for number in range(file.num_row_groups)]
            return pa.concat_tables(groups) if groups else file.read(columns=wanted)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise StorageError(
            f"{path} is not the Parquet file that was written: {error}", next_step="tidegauge runs verify latest --read-data"
        ) from error


def read_facts(path: Path) -> dict[str, str]:
    """
    What stands in the metadata of the file, as text.

    Raises:
        StorageError: It is missing or torn.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema"}
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise StorageError(f"{path} is not the Parquet file that was written: {error}") from error


def sparing() -> None:
    """For a process that only copies: give memory back to the system at once, and leave the other cores to others."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
