"""The last minutes of a recording as a matrix, while it is still being written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    """Follows the chunks of *folder* and keeps what is younger than *keep_s*."""

    folder: Path
    features: FeaturesConfig
    keep_s: float = 240.0
    chunk: int = 0
    window: Window = field(default_factory=lambda: Window(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0)))

    def refresh(self) -> float | None:
        """Read the chunks that are new; the time of the newest sample (seconds since 1970), None before the first."""
        fresh = read_samples(self.folder, self.chunk)
        if fresh.last_chunk > self.chunk:
            self.chunk = fresh.last_chunk
            self.window = joined(self.window, fresh, self.keep_s)
        return float(self.window.time_ms.max()) / 1000 if len(self.window.time_ms) else None

    def series(self) -> tuple[Series, ...]:
        """All series known so far."""
        return read_series(self.folder)

    def matrix(self, *, start_s: float, end_s: float) -> Matrix:
        """The matrix of what is kept, from *start_s* to *end_s*."""
        return build_from(self.series(), self.window, self.features, start_s=start_s, end_s=end_s)


def joined(old: Window, fresh: Samples, keep_s: float) -> Window:
    """*old* and *fresh* together, without what is older than *keep_s* before the newest sample."""
    series = np.concatenate([old.series, fresh.series])
    time_ms = np.concatenate([old.time_ms, fresh.time_ms])
    value = np.concatenate([old.value, fresh.value])
    if len(time_ms):
        young = time_ms >= time_ms.max() - keep_s * 1000
        series, time_ms, value = series[young], time_ms[young], value[young]
    order = np.lexsort((time_ms, series))
    return Window(series[order], time_ms[order], value[order])
