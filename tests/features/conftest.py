"""Recordings in memory, made of series with hand-written samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig

T0 = 1_700_000_000


@dataclass(frozen=True)
class Series:
    """One series."""

    id: int
    name: str
    service: str
    role: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Samples:
    """Samples as three arrays."""

    series: Any
    time_ms: Any
    value: Any


@dataclass
class Tape:
    """A recording that grows by whole series; times are seconds after T0."""

    series: list[Series] = field(default_factory=list)
    points: list[tuple[int, float, float]] = field(default_factory=list)
    start: int = T0

    def add(self, name: str, values: Mapping[float, float], *, service: str = "orders", role: str = "service", **labels: str) -> None:
        """Add a series with *values* by time."""
        number = len(self.series)
        self.series.append(Series(number, name, service, role, labels))
        self.points += [(number, at, value) for at, value in values.items()]

    def samples(self) -> Samples:
        """All samples, by series and time."""
        points = sorted(self.points)
        return Samples(
            np.array([p[0] for p in points], dtype=np.int32),
            np.array([round((T0 + p[1]) * 1000) for p in points], dtype=np.int64),
            np.array([p[2] for p in points], dtype=np.float64),
        )

    def build(self, *, until: float, columns: Sequence[Any] | None = None, **settings: Any) -> Any:
        """The matrix from T0 to *until*."""
        return build_from(self.series, self.samples(), FeaturesConfig(**settings), start_s=T0, end_s=T0 + until, columns=columns)

    def histogram(self, edges: Mapping[str, Callable[[float], float]], times: Sequence[float], **labels: str) -> None:
        """Add the buckets, sum and count of ``request_duration_seconds``; *edges* give cumulative counts by time."""
        for edge, count in edges.items():
            self.add("request_duration_seconds_bucket", {t: count(t) for t in times}, le=edge, **labels)
        total = edges["+Inf"]
        self.add("request_duration_seconds_count", {t: total(t) for t in times}, **labels)
        self.add("request_duration_seconds_sum", {t: total(t) * 0.02 for t in times}, **labels)


@pytest.fixture
def tape():
    return Tape()
