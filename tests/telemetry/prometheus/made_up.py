"""Samples that no server has: drawn, and put into batches and windows as a server would give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tasks.telemetry.prometheus.batch import Batch, Labels
from tests.prometheus.history import Course

T0 = 1_790_000_000_000
"""A moment in September 2026, in ms."""
Points = Mapping[int, float]
"""Value by time in ms."""


def labels_of(name: str = "m", /, **labels: str) -> Labels:
    """All labels of a series, in their order."""
    return tuple(sorted({"__name__": name, **labels}.items()))


def batch(courses: Mapping[Labels, Points], **more: Any) -> Batch:
    """The samples of *courses*, a series after the other."""
    points = [(time, value) for course in courses.values() for time, value in sorted(course.items())]
    return Batch(
        labels=tuple(courses),
        counts=np.array([len(course) for course in courses.values()], np.int64),
        time_ms=np.array([time for time, _ in points], np.int64),
        value=np.array([value for _, value in points], np.float64),
        **more,
    )


def between(courses: Mapping[Labels, Points], start_ms: int, end_ms: int) -> dict[Labels, Points]:
    """What of *courses* is in [*start_ms*, *end_ms*]; series without any are left out, as a server does."""
    parts = {labels: {time: value for time, value in course.items() if start_ms <= time <= end_ms} for labels, course in courses.items()}
    return {labels: part for labels, part in parts.items() if part}


def batched(courses: Mapping[Labels, Points], size: int) -> list[Batch]:
    """The same in batches of *size* samples; a series that does not fit goes on in the next one."""
    flat = [(labels, time, value) for labels, course in courses.items() for time, value in sorted(course.items())]
    found = []
    for start in range(0, len(flat), size):
        part: dict[Labels, dict[int, float]] = {}
        for labels, time, value in flat[start : start + size]:
            part.setdefault(labels, {})[time] = value
        found.append(batch(part))
    return found


def courses_of(courses: Mapping[Labels, Points]) -> list[Course]:
    """As what a recording holds is compared with."""
    return [
        Course.of(dict(labels), sorted(points), [points[time] for time in sorted(points)]) for labels, points in courses.items() if points
    ]


def any_value() -> st.SearchStrategy[float]:
    """Any bits, and often a small number, so that counters fall and decimals are met."""
    raw = st.integers(0, 2**64 - 1).map(lambda bits: float(np.array([bits], np.uint64).view(np.float64)[0]))
    return st.one_of(st.integers(-3, 40).map(lambda number: number / 4), raw, st.just(float("nan")))


@st.composite
def samples(draw: st.DrawFn, series: Sequence[Labels] | None = None, length_ms: int = 2000) -> dict[Labels, dict[int, float]]:
    """Some series with samples at any times within *length_ms* after :data:`T0`."""
    known = series or [labels_of(f"m{number % 3}", number=str(number)) for number in range(6)]
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
    times = st.integers(0, length_ms - 1).map(lambda at: T0 + at)
    return {labels: draw(st.dictionaries(times, any_value(), min_size=1, max_size=25)) for labels in chosen}


def times_of(courses: Iterable[Points]) -> list[int]:
    """Each time once, ascending."""
    return sorted({time for course in courses for time in course})
