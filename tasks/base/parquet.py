"""The one place that writes and reads Parquet: page checksums are written, and asked for on reading."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.base.errors import StorageError
from tasks.base.files import write_atomically


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


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """
    The table at *path*, its page checksums verified.

    Raises:
        StorageError: It is missing, torn, or a checksum does not match.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=None if columns is None else list(columns))
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise StorageError(
            f"{path} is not the Parquet file that was written: {error}", next_step="tidegauge runs verify latest --read-data"
        ) from error
