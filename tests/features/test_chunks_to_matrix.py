"""From the chunks of a recording to its matrix, one chunk after the other."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import StorageError
from tasks.base.files import sha256_file
from tasks.features.build import build, build_from
from tasks.features.config import FeaturesConfig
from tasks.telemetry.chunks import ChunkWriter
from tasks.telemetry.columns import write_samples, write_series
from tasks.telemetry.ledger import ChunkEntry, append_entry, samples_path, series_path
from tasks.telemetry.samples import read_chunks, read_samples, read_series
from tasks.telemetry.series import Series

START = 1_700_000_000
SETTINGS = FeaturesConfig(grid_s=5.0, rate_window_s=20.0)
LABELS = [{"status_code": "200", "le": edge} for edge in ("0.1", "1", "+Inf")]


def wanted(writer: ChunkWriter) -> list[int]:
    """Series of two services and three pods, of which all but one make columns."""
    table, found = writer.table, []
    for pod in ("a", "b"):
        found += [table.number("service", "orders", "request_duration_seconds_bucket", {**labels, "pod": pod}) for labels in LABELS]
        found.append(table.number("container", "orders", "container_memory_rss", {"pod": pod}))
        found.append(table.number("service", "orders", "go_goroutines", {"pod": pod}))
    found.append(table.number("container", "carts", "container_cpu_usage_seconds_total", {"pod": "c"}))
    return found


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_the_matrix_does_not_depend_on_the_chunks(tmp_path_factory, data):
    """Late samples, doubles, counters that restart, values that are not finite: to the bit what all samples together make."""
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    folder = tmp_path_factory.mktemp("recording")
    writer = ChunkWriter(folder)
    numbers = wanted(writer)
    scrapes = [(5000 * n + int(rng.integers(-900, 900)), n) for n in range(30)]
    for moved in data.draw(st.lists(st.integers(0, 29), max_size=6)):
        scrapes.insert(int(rng.integers(30)), scrapes[moved] if rng.random() < 0.3 else scrapes.pop(moved))
    for time_ms, n in scrapes:
        seen = [one for one in numbers if rng.random() > 0.1]
        values = [float(n % 17) * (1 + one) if rng.random() > 0.05 else float("nan") for one in seen]
        writer.add(START * 1000 + time_ms, seen, values)
        if rng.random() < 0.4:
            writer.flush()
    writer.flush()
    writer.close()

    made = build(folder, SETTINGS, start_s=START, end_s=START + 150)

    together = build_from(read_series(folder), read_samples(folder), SETTINGS, start_s=START, end_s=START + 150)
    assert len(made.columns) == 5
    assert made.valid.any()
    for name in ("values", "valid", "undefined", "interval_s", "resets"):
        assert np.array_equal(getattr(made, name), getattr(together, name), equal_nan=name == "values"), name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty chunks of 25,000 samples, of two hundred series of which two make a column."""
    for part in ("samples", "series"):
        (tmp_path / part).mkdir()
    cores = [Series(one, "container_cpu_usage_seconds_total", "orders", "container", {"cpu": str(one)}) for one in range(2)]
    write_series(series_path(tmp_path, 1), [*cores, *(Series(one, f"something_{one}", "orders", "service", {}) for one in range(2, 200))])
    numbers = np.repeat(np.arange(200, dtype=np.int32), 125)
    for part in range(40):
        second = 125 * part + np.arange(125, dtype=np.int64)
        path, new = samples_path(tmp_path, part + 1), series_path(tmp_path, part + 1)
        write_samples(path, numbers, np.tile((START + second) * 1000, 200), np.tile(0.5 * second, 200))
        digests = sha256_file(path), sha256_file(new) if new.exists() else None
        append_entry(tmp_path, ChunkEntry(part + 1, 25_000, 0 if part else 200, int(second[0]), int(second[-1]), 0, 0, *digests))
    return tmp_path


def test_memory_is_that_of_a_chunk_and_of_what_is_needed(folder):
    """A million samples would be twenty megabytes; ten thousand are needed, and one chunk is open at a time."""
    build(folder, SETTINGS, start_s=START, end_s=START + 30)
    tracemalloc.start()
    try:
        matrix = build(folder, SETTINGS, start_s=START, end_s=START + 4995)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert matrix.column("orders/cpu_cores")[5:] == pytest.approx(1.0)
    assert peak < 2e6


def test_chunks_come_one_by_one(folder):
    """From the one asked for; those before a torn one are still given."""
    chunks = read_chunks(folder, since_chunk=37)
    path = samples_path(folder, 39)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)

    assert next(chunks).number == 38
    with pytest.raises(StorageError, match=r"000039\.parquet is not the file that was written"):
        next(chunks)
