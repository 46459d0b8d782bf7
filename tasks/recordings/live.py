"""The last minutes of a recording as a matrix, while it is still being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.intervals import Interval, merged
from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Matrix
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.series import Series


@dataclass(frozen=True, slots=True)
class Window:
    """Samples in memory, in order of (series, time)."""

    series: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(slots=True)
class LiveWindow:
    """Follows the chunks of *folder* and keeps what is younger than *keep_s*, and what it is told to."""

    folder: Path
    features: FeaturesConfig
    keep_s: float = 240.0
    """The spans that are asked for hold fault-free *time* enough for a reference; so much more makes up for rows that say nothing."""
    chunk: int = 0
    window: Window = field(default_factory=lambda: Window(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0)))

    def refresh(self, spans: Sequence[Interval] = ()) -> float | None:
        """
        Read the chunks that are new; what is older than *keep_s* and outside *spans* is forgotten, so it cannot be asked for later.

        Returns:
            The time of the newest sample (seconds since 1970), None before the first.
        """
        fresh = read_samples(self.folder, self.chunk)
        if fresh.last_chunk > self.chunk:
            self.chunk = fresh.last_chunk
            self.window = joined(self.window, fresh, self.keep_s, spans)
        return float(self.window.time_ms.max()) / 1000 if len(self.window.time_ms) else None

    @property
    def oldest_s(self) -> float | None:
        """The time of the oldest sample that is kept; None: there is none."""
        return float(self.window.time_ms.min()) / 1000 if len(self.window.time_ms) else None

    def series(self) -> tuple[Series, ...]:
        """All series known so far."""
        return read_series(self.folder)

    def matrix(self, *, start_s: float, end_s: float) -> Matrix:
        """The matrix of what is kept, from *start_s* to *end_s*."""
        return build_from(self.series(), self.window, self.features, start_s=start_s, end_s=end_s)


def joined(old: Window, fresh: Samples, keep_s: float, spans: Sequence[Interval] = ()) -> Window:
    """*old* and *fresh* together, without what is older than *keep_s* before the newest sample and outside *spans*."""
    series = np.concatenate([old.series, fresh.series])
    time_ms = np.concatenate([old.time_ms, fresh.time_ms])
    value = np.concatenate([old.value, fresh.value])
    if len(time_ms):
        kept = time_ms >= time_ms.max() - keep_s * 1000
        for span in spans:
            kept |= (time_ms >= span.start_s * 1000) & (time_ms <= span.end_s * 1000)
        series, time_ms, value = series[kept], time_ms[kept], value[kept]
    order = np.lexsort((time_ms, series))
    return Window(series[order], time_ms[order], value[order])


def remembered(busy: Sequence[Interval], requested_s: float, *, need_s: float, lead_s: float) -> tuple[Interval, ...]:
    """
    What a judgement of the fault requested at *requested_s* reads, however long ago it was.

    Args:
        busy: Spans of earlier faults, which no reference is taken from.
        requested_s: Everything since then is read.
        need_s: Fault-free seconds before it that a reference is taken from, the youngest first.
        lead_s: What a row reads of the time before it: the rate window and a grid step.

    Returns:
        Spans in order, the last one without an end. Where there is less fault-free time than *need_s*, they reach back as far as needed.
    """
    spans, until_s, left_s = [Interval(requested_s - lead_s, float("inf"))], requested_s, need_s
    for span in reversed(merged(busy)):
        if span.start_s >= until_s:
            continue
        free_s = until_s - min(span.end_s, until_s)
        if free_s >= left_s:
            break
        if free_s > 0:
            spans.append(Interval(span.end_s - lead_s, until_s))
        until_s, left_s = span.start_s, left_s - free_s
    spans.append(Interval(until_s - left_s - lead_s, until_s))
    return merged(spans)
