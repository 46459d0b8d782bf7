"""
The peers of the snapshot: their own environment, how each is started, and whether what it wrote are the samples of the history.

Each is called as its own documentation has it; what it writes is read back and compared value by value, not timed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.telemetry.prometheus.batch import Labels
from tests.bench.rows import FIGURES
from tests.prometheus.history import Course, differing

SCRIPTS = Path(__file__).with_name("peers")
PLACE = FIGURES.parent / "peers"
PINNED = ("parides==0.7.3", "prometheus-api-client==0.7.2", "requests==2.34.2", "pandas==2.3.3", "numpy==1.26.4", "pyarrow==23.0.1")
"""The newest of each in November 2026; pandas, numpy and pyarrow the newest that parides allows."""
STEP_MS = 5000
"""Of the grid at which parides asks, as in its script."""
FAR_MS = 300_000
"""A server's look-back: how old a sample may be at an instant of a grid."""

Unlike = Callable[[Path, Sequence[Course], int, int], list[str]]


def peers_python() -> Path:
    """
    The interpreter of the peers' environment, made now if it is not there with exactly these versions.

    Raises:
        subprocess.CalledProcessError: They cannot be installed, as without a network.
    """
    python, stamp = PLACE / "bin" / "python", PLACE / "pinned.txt"
    wanted = "\n".join(PINNED)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True, capture_output=True, text=True)
        stamp.write_text(wanted)
    return python


@dataclass(frozen=True, slots=True)
class PeerScript:
    """Somebody else's way to the same samples."""

    name: str
    script: str
    """In the folder ``peers``, run by the peers' own interpreter."""
    unlike: Unlike
    """What in the folder that it wrote is not as in the history of [start, end), in words; given in ms."""

    def argv(self, python: Path, url: str, selector: str, start_ms: int, end_ms: int, out: Path) -> list[str]:
        """How it is started."""
        return [str(python), str(SCRIPTS / self.script), url, selector, str(start_ms // 1000), str(end_ms // 1000), str(out)]


def by_hand_unlike(out: Path, courses: Sequence[Course], start_ms: int, end_ms: int) -> list[str]:
    """Raw samples, a number a series; labels in a file beside it."""
    table = pq.read_table(out / "json.parquet", columns=["time", "value", "series"])
    labels = json.loads((out / "labels.json").read_text())
    time_ms = np.rint(_numbers(table, "time") * 1000).astype(np.int64)
    series = _numbers(table, "series")
    starts = _starts([series])
    return differing(_cut(time_ms, _numbers(table, "value"), starts, lambda row: labels[int(series[row])]), courses)


def api_client_unlike(out: Path, courses: Sequence[Course], start_ms: int, end_ms: int) -> list[str]:
    """Raw samples, each row with all its labels, times as an index in ns."""
    table = pq.read_table(out / "prometheus-api-client.parquet")
    names = [name for name in table.column_names if name not in ("value", "timestamp")]
    texts = {name: table.column(name).combine_chunks().dictionary_encode() for name in names}
    starts = _starts([column.indices.fill_null(-1).to_numpy() for column in texts.values()])
    time_ms = (_numbers(table, "timestamp").astype(np.int64) + 500_000) // 1_000_000

    def labels(row: int) -> dict[str, str]:
        return {name: text for name, column in texts.items() if (text := column[row].as_py()) is not None}

    return differing(_cut(time_ms, _numbers(table, "value"), starts, labels), courses)


def parides_unlike(out: Path, courses: Sequence[Course], start_ms: int, end_ms: int) -> list[str]:
    """A column a metric and its labels, a row an instant and an instance: the newest sample then, if it is not too old."""
    (path,) = out.glob("*.parquet")
    table = pq.read_table(path)
    ids = table.column("id").combine_chunks().dictionary_encode()
    rows = {text: np.flatnonzero(ids.indices.to_numpy() == place) for place, text in enumerate(ids.dictionary.to_pylist())}
    time_ms = _numbers(table, "time").astype(np.int64) // 1_000_000
    order = {text: some[np.argsort(time_ms[some])] for text, some in rows.items()}
    grid_ms = np.arange(start_ms, end_ms + 1, STEP_MS)
    wrong = [] if len(table.column_names) - 2 == len({_parides_name(c.labels)[1] for c in courses}) else ["other columns"]
    for course in courses:
        instance, column = _parides_name(course.labels)
        expected = _at(course, grid_ms)
        if instance not in order or column not in table.column_names:
            wrong.append(f"missing: {instance} {column}")
            continue
        found = Course(course.labels, time_ms[order[instance]], _numbers(table, column)[order[instance]])
        if not found.same(expected):
            wrong.append(f"changed: {instance} {column}")
    return wrong


def _parides_name(labels: Labels) -> tuple[str, str]:
    """Its row's id and its column, as parides makes them of labels."""
    owner = {"instance", "job", "name"}
    named = dict(labels)
    rest = [f"{key}_{value}" for key, value in labels if key not in owner and key != "__name__"]
    return "_".join(value for key, value in labels if key in owner), ":".join([named["__name__"], *rest])


def _at(course: Course, grid_ms: NDArray[np.int64]) -> Course:
    """What a range query tells of *course*: at each instant of the grid the newest sample, where one is there and not too old."""
    newest = np.searchsorted(course.time_ms, grid_ms, side="right") - 1
    there = (newest >= 0) & (grid_ms - course.time_ms[np.maximum(newest, 0)] < FAR_MS)
    return Course(course.labels, grid_ms[there], course.value[newest[there]])


PEERS = (
    PeerScript("parides", "parides_export.py", parides_unlike),
    PeerScript("prometheus-api-client", "api_client_export.py", api_client_unlike),
    PeerScript("requests + json + pandas", "json_export.py", by_hand_unlike),
)


def dumped(lines: Iterable[str]) -> dict[Labels, Course]:
    """What ``promtool tsdb dump`` prints: ``{labels} value time`` a line, series by series."""
    columns: dict[str, tuple[list[str], list[str]]] = {}
    for line in lines:
        labels, value, time = line.rsplit(" ", 2)
        known = columns.get(labels)
        if known is None:
            known = columns[labels] = [], []
        known[0].append(time)
        known[1].append(value)
    courses = (
        Course.of(_labels(text), np.array(times, np.int64), np.array(values, np.float64)) for text, (times, values) in columns.items()
    )
    return {course.labels: course for course in courses}


def _labels(text: str) -> dict[str, str]:
    """Labels as Go prints them; those of the history need no unescaping."""
    return dict(re.findall(r'(\w+)="([^"\\]*)"', text))


def _numbers(table: pa.Table, column: str) -> NDArray[Any]:
    return np.asarray(table.column(column).combine_chunks().to_numpy(zero_copy_only=False))


def _starts(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Rows at which any of *columns* differs from the row before."""
    changed = np.zeros(len(columns[0]), np.bool_)
    changed[0] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)


def _cut(
    time_ms: NDArray[np.int64], value: NDArray[np.float64], starts: NDArray[np.int64], labels: Callable[[int], Mapping[str, str]]
) -> dict[Labels, Course]:
    """
    Rows as courses, one from each of *starts* to the next.

    Raises:
        ValueError: A series comes twice.
    """
    ends = [*starts[1:].tolist(), len(time_ms)]
    courses = [Course.of(labels(first), time_ms[first:last], value[first:last]) for first, last in zip(starts.tolist(), ends, strict=True)]
    found = {course.labels: course for course in courses}
    if len(found) != len(courses):
        raise ValueError("a series comes twice")
    return found
