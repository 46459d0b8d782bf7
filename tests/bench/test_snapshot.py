"""The benchmark of snapshots compares what was written value by value, and notices what is not the same."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.telemetry.prometheus.batch import Batch
from tasks.telemetry.prometheus.writer import WindowWriter
from tests.bench.run import BENCHES
from tests.bench.snapshot import GOALS, UNITS
from tests.bench.snapshot_history import Recipe
from tests.bench.snapshot_ours import recording_unlike
from tests.bench.snapshot_peers import api_client_unlike, by_hand_unlike, dumped, parides_unlike
from tests.bench.starter import launched
from tests.prometheus.history import START_MS, Course, differing

END_MS = START_MS + 60_000
WHERE = {"job": "typical", "instance": "10.0.0.1:8080"}


def course(number=0, *, change=0.0, scrapes=12):
    """A gauge of a minute, a little off the grid; *change* is added to its last value."""
    value = np.arange(scrapes) + number / 3
    value[-1] += change
    labels = {"__name__": "gauge", **WHERE, **({"n": str(number)} if number else {})}
    return Course.of(labels, START_MS + 123 + 5000 * np.arange(scrapes), value)


WHOLE = (course(0), course(1), course(2))
DAMAGED = {
    "nothing": (WHOLE, []),
    "a value": ((course(0), course(1, change=1e-12), course(2)), ["changed"]),
    "the last sample": ((course(0), course(1), course(2, scrapes=11)), ["changed"]),
    "a series": ((course(0), course(2)), ["missing"]),
}
damaged = pytest.mark.parametrize(("written", "wrong"), DAMAGED.values(), ids=DAMAGED)


def kinds(texts):
    """The first word of each difference."""
    return sorted({text.split(":")[0].split(",")[0] for text in texts})


@damaged
def test_our_recordings_are_compared(written, wrong, tmp_path):
    """In two chunks, so that a series goes on in the second one; a value that is changed, a part or a series that is missing."""
    writer = WindowWriter(tmp_path / "recording")
    middle_ms = START_MS + 30_000
    for first_ms, last_ms in ((START_MS, middle_ms), (middle_ms + 1, END_MS)):
        parts = [one.between(first_ms, last_ms) for one in written]
        counts = np.array([len(part.time_ms) for part in parts])
        times, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("time_ms", "value"))
        writer.write([[Batch(tuple(part.labels for part in parts), counts, times, values)]], last_ms)
    writer.close()

    expected = ["missing"] if written[-1].time_ms.size == 11 else wrong
    assert kinds(recording_unlike(tmp_path / "recording", WHOLE)) == expected
    assert kinds(recording_unlike(tmp_path / "recording", WHOLE[:1])) == ["not wanted"]


@damaged
def test_a_peer_by_hand_is_compared(written, wrong, tmp_path):
    """Seconds as doubles, labels beside."""
    columns = {
        "time": np.concatenate([one.time_ms / 1000 for one in written]),
        "value": np.concatenate([one.value for one in written]),
        "series": np.repeat(np.arange(len(written)), [len(one.value) for one in written]),
    }
    pq.write_table(pa.table(columns), tmp_path / "json.parquet")
    (tmp_path / "labels.json").write_text(json.dumps([dict(one.labels) for one in written]))

    assert kinds(by_hand_unlike(tmp_path, WHOLE, START_MS, END_MS)) == wrong


@damaged
def test_a_peer_with_all_labels_in_each_row_is_compared(written, wrong, tmp_path):
    """A label that only some series have is null for the others; times in ns that were a double of seconds."""
    rows = [
        {**dict(one.labels), "timestamp": int(time / 1000 * 1e9), "value": value}
        for one in written
        for time, value in zip(one.time_ms.tolist(), one.value.tolist(), strict=True)
    ]
    names = ["__name__", "instance", "job", "n", "value", "timestamp"]
    columns = {name: [row.get(name) for row in rows] for name in names}
    table = pa.table({**columns, "timestamp": pa.array(columns["timestamp"], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "prometheus-api-client.parquet")

    assert kinds(api_client_unlike(tmp_path, WHOLE, START_MS, END_MS)) == wrong


def test_a_peer_on_a_grid_is_compared_at_its_instants(tmp_path):
    """The newest sample at each instant; what is older than the look-back is not there, and neither is what comes later."""
    grid_ms = np.arange(START_MS + 5000, END_MS + 1, 5000)
    columns = {"gauge": WHOLE[0].value, "gauge:n_1": WHOLE[1].value, "gauge:n_2": WHOLE[2].value}

    def compared(**changed):
        found = {**columns, **changed}
        time = pa.array(grid_ms * 1_000_000, pa.timestamp("ns", tz="UTC"))
        table = pa.table(
            {"id": ["10.0.0.1:8080_typical"] * len(grid_ms), **{name: one for name, one in found.items() if one is not None}, "time": time}
        )
        pq.write_table(table, tmp_path / "prom.parquet")
        return kinds(parides_unlike(tmp_path, WHOLE, START_MS, END_MS))

    assert compared() == []
    assert compared(gauge=np.roll(WHOLE[0].value, 1)) == ["changed"]
    assert compared(**{"gauge:n_1": None}) == ["missing", "other columns"]


@damaged
def test_prometheus_own_dump_is_compared(written, wrong):
    """A line a sample."""
    lines = [
        "{" + ", ".join(f'{name}="{text}"' for name, text in one.labels) + f"}} {value!r} {time}\n"
        for one in written
        for time, value in zip(one.time_ms.tolist(), one.value.tolist(), strict=True)
    ]

    assert kinds(differing(dumped(lines), WHOLE)) == wrong


def test_a_process_is_measured_by_itself(tmp_path):
    """Its memory and not ours, its time and not ours; one that fails is no figure."""
    ballast = np.ones(40_000_000)  # 320 MB here
    small = launched([sys.executable, "-c", "print('said')"], tmp_path)
    large = launched([sys.executable, "-c", "import time; some = b'x' * 100_000_000; time.sleep(0.2)"], tmp_path)

    assert small.said == "said\n"
    assert small.rss_bytes < 60e6 < 100e6 < large.rss_bytes < 160e6 < ballast.nbytes
    assert large.wall_s >= 0.2 > 0.0 < small.cpu_s
    with pytest.raises(OSError, match="ended with 3"):
        launched([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_the_history_is_what_it_says():
    """Fifty different series a target, the same every time; counters fall only where a target restarts."""
    recipe = Recipe(hours=1, targets=4)
    courses = recipe.courses()
    falls = {
        dict(one.labels)["instance"]
        for one in courses
        if one.name.endswith(("_total", "_bucket", "_count", "_sum")) and (np.diff(one.value) < 0).any()
    }

    assert len({one.labels for one in courses}) == len(courses) == 200
    assert sum(len(one.time_ms) for one in courses) == recipe.samples == 144_000
    assert all(recipe.end_ms > one.time_ms[-1] > one.time_ms[0] > START_MS and (np.diff(one.time_ms) > 0).all() for one in courses)
    assert falls == {"10.0.0.4:8080"}
    assert differing({one.labels: one for one in courses}, Recipe(hours=1, targets=4).courses()) == []
    assert recipe.key() != Recipe(hours=1, targets=4, seed=2).key() != Recipe(hours=2, targets=4).key()


def test_each_row_has_its_goal_and_unit():
    """Those that are announced, and no others."""
    assert set(GOALS) == set(UNITS) == set(BENCHES["tests.bench.snapshot"])
