"""Robust scaling, with a floor that keeps quiet columns from outshouting the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.detectors.base import Rows, checked

IQR_OF_NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
QUANTILE_ROWS = 20_000
"""Median and quartiles are taken from at most about this many rows, evenly spaced."""
LIMIT = 1e6
"""Scaled values are cut here, far beyond any decision, so that squares and products stay finite in float32."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """Centre and scale of each column, both float32 ``(d,)``; scales are positive."""

    center: Rows
    scale: Rows

    @classmethod
    def learn(cls, normal: Rows, resolution: NDArray[np.float64]) -> Scaler:
        """
        Median, and the largest of IQR/1.349, a tenth of the standard deviation, 1 % of the median, and the resolution.

        A constant column has its resolution as scale: it stays, and any change that matters shows.

        Args:
            normal: Fault-free rows ``(n, d)``.
            resolution: Smallest change that matters, ``(d,)``.

        Raises:
            PreflightError: Too few rows.
            ValueError: NaN or infinity, or shapes that do not fit.
        """
        rows = checked(normal, resolution)
        stride = max(1, rows.shape[0] // QUANTILE_ROWS)
        columns = np.ascontiguousarray(rows[::stride].T)
        low, median, high = np.percentile(columns, (25, 50, 75), axis=1)
        spread = rows.std(axis=0, dtype=np.float64)
        scale = np.max([(high - low) / IQR_OF_NORMAL, 0.1 * spread, 0.01 * np.abs(median), resolution], axis=0)
        smallest = np.finfo(np.float32).tiny
        return cls(median.astype(np.float32), np.maximum(scale, smallest).astype(np.float32))

    def __call__(self, rows: Rows) -> Rows:
        """Scaled *rows* ``(n, d)``, float32, a new array."""
        with np.errstate(over="ignore"):
            scaled = np.subtract(rows, self.center, dtype=np.float32)
            np.divide(scaled, self.scale, out=scaled)
        return np.clip(scaled, -LIMIT, LIMIT, out=scaled)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays, to be saved."""
        return {"center": self.center, "scale": self.scale}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Scaler:
        """The scaler whose arrays were saved."""
        return cls(arrays["center"], arrays["scale"])
