"""A service's database: one SQLite file in its data folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tasks.shop.metrics import Metrics
from tasks.shop.settings import Settings


def open_database(settings: Settings, metrics: Metrics, schema: str) -> sqlite3.Connection:
    """
    Open ``<service>.sqlite``, make what *schema* says is not there yet, and show its size as ``database_bytes``.

    What is committed survives the death of the process at any moment (write-ahead log). Statements commit by themselves;
    several in one transaction go into ``with connection:`` after ``BEGIN``.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = _open(settings.data_dir / f"{settings.service}.sqlite", schema)
    metrics.gauge("database_bytes", "Size of the database, its write-ahead log included, in bytes.", lambda: size_bytes(connection))
    return connection


def size_bytes(connection: sqlite3.Connection) -> int:
    """Pages times page size: what the database holds, whether checkpointed yet or not."""
    (pages,), (page_bytes,) = connection.execute("PRAGMA page_count").fetchone(), connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)


def _open(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "journal_size_limit = 4194304"):
        connection.execute(f"PRAGMA {pragma}")
    connection.executescript(schema)
    return connection
