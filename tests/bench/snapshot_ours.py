"""Our side of the snapshot: the command line, and whether what it wrote are the samples of the history."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.telemetry.columns import read_columns
from tasks.telemetry.ledger import numbers_in, samples_path
from tasks.telemetry.samples import read_series
from tests.bench.snapshot_history import SELECTOR, Recipe
from tests.prometheus.history import START_MS, Course


def ours(url: str, recipe: Recipe, way: str, store: Path) -> list[str]:
    """Our command line for the samples of *recipe*."""
    program = Path(sys.executable).with_name("tidegauge")
    span = ("--start", f"{START_MS / 1000:.3f}", "--end", f"{(recipe.end_ms - 1) / 1000:.3f}")
    return [str(program), "import", "prometheus", url, *span, "--match", SELECTOR, "--way", way, "--json", "--store", str(store)]


def recording_in(store: Path) -> Path:
    """
    The one recording in *store*.

    Raises:
        OSError: There is none, or more than one.
    """
    found = [path.parent for path in store.rglob("chunks.jsonl")]
    if len(found) != 1:
        raise OSError(f"{store} holds {len(found)} recordings")
    return found[0]


def recording_bytes(folder: Path) -> int:
    """Everything in the recording: samples, series, ledger, and what is said of them."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def recording_unlike(folder: Path, courses: Sequence[Course]) -> list[str]:
    """What in the recording is not bit by bit as in *courses*, in words; chunk by chunk, so that a long one fits into memory."""
    expected = {course.labels: course for course in courses}
    named = [expected.get(tuple(sorted({"__name__": one.name, **one.labels}.items()))) for one in read_series(folder)]
    wrong = {f"not wanted: series {number}" for number, course in enumerate(named) if course is None}
    there = [0] * len(named)
    for chunk in numbers_in(folder / "samples"):
        series, time_ms, value = read_columns(samples_path(folder, chunk))
        starts = np.flatnonzero(np.diff(series, prepend=-1)).tolist()
        for first, last in zip(starts, [*starts[1:], len(series)], strict=True):
            number, course = int(series[first]), named[series[first]]
            part = slice(there[number], there[number] + last - first)
            there[number] = part.stop
            if course is not None and not Course(course.labels, time_ms[first:last], value[first:last]).same(
                Course(course.labels, course.time_ms[part], course.value[part])
            ):
                wrong.add(f"changed: {course.labels}")
    whole = {course.labels for course, count in zip(named, there, strict=True) if course is not None and count == len(course.time_ms)}
    return sorted(wrong) + [f"missing, or a part of it: {labels}" for labels in expected if labels not in whole]
