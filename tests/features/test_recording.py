"""The matrix of a recording on disk."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.base.errors import StorageError
from tasks.features.build import build
from tasks.features.config import FeaturesConfig
from tasks.telemetry.chunks import ChunkWriter

START = 1_700_000_000


@pytest.fixture
def folder(tmp_path):
    """Thirty scrapes of one service in three chunks, as the collector writes them."""
    writer = ChunkWriter(tmp_path / "r")
    table = writer.table
    up = table.number("service", "orders", "up", {})
    cpu = table.number("container", "orders", "container_cpu_usage_seconds_total", {})
    proxy = table.number("harness", "proxy", "up", {})
    for second in range(30):
        writer.add((START + second) * 1000 + 40, [up, cpu, proxy], [1.0, 0.4 * second, 1.0])
        if second % 10 == 9:
            writer.flush()
    writer.close()
    return tmp_path / "r"


def test_chunks_become_one_matrix(folder):
    """The border of two chunks is not to be seen, and the harness's series are not there."""
    matrix = build(folder, FeaturesConfig(), start_s=START, end_s=START + 29)

    assert matrix.names == ("orders/cpu_cores", "orders/up")
    assert matrix.column("orders/cpu_cores")[1:] == pytest.approx(0.4)
    assert matrix.valid[1:].all()


def test_part_of_a_recording_is_the_part_of_its_matrix(folder):
    """Rows are whole multiples of the grid, so two cuts of a recording share them; earlier samples still feed a rate."""
    whole = build(folder, FeaturesConfig(), start_s=START, end_s=START + 29)

    part = build(folder, FeaturesConfig(), start_s=START + 10.3, end_s=START + 20.7)

    assert part.time_s.tolist() == whole.time_s[11:21].tolist()
    assert np.array_equal(part.values, whole.values[11:21])


def test_torn_chunk_is_refused(folder):
    """Nothing is computed from bytes that are not what was written."""
    path = next((folder / "samples").glob("*.parquet"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)

    with pytest.raises(StorageError):
        build(folder, FeaturesConfig(), start_s=START, end_s=START + 29)
