"""EWMA residual: how far each metric is from its own recent mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows, mean_of_largest
from tasks.detectors.scaling import Scaler


def residuals(scaled: Rows, weight: float, clip: float) -> Rows:
    """
    ``x_t - m_{t-1}`` of each column, where ``m_t = m_{t-1} + weight * clip(x_t - m_{t-1})`` and ``m_0`` is the training median.

    The exponentially weighted mean of Roberts (1959), "Control chart tests based on geometric moving averages", with its
    updates cut at *clip* scales, so that a fault changes it slowly.

    Args:
        scaled: Rows ``(n, d)`` in scales from the training median, in order of time.
        weight: Of the newest row.
        clip: In scales.
    """
    result = np.empty_like(scaled)
    mean = np.zeros(scaled.shape[1], dtype=np.float32)
    step = np.empty_like(mean)
    for row, residual in zip(scaled, result, strict=True):
        np.subtract(row, mean, out=residual)
        np.clip(residual, -clip, clip, out=step)
        step *= weight
        mean += step
    return result


@dataclass(frozen=True, slots=True)
class FittedEwma:
    """Scales of the metrics and of their residuals."""

    scaler: Scaler
    residual_scale: Rows
    weight: float
    clip: float
    top: int
    name: str = "ewma"

    def _distances(self, rows: Rows) -> Rows:
        found = residuals(self.scaler(rows), self.weight, self.clip)
        np.divide(found, self.residual_scale, out=found)
        return np.abs(found, out=found)

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Mean of the *top* largest residuals of each row, in residual scales."""
        return mean_of_largest(self._distances(rows), self.top)

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """Residual of each cell, in residual scales."""
        return self._distances(rows).astype(np.float64)

    def parts(self) -> Parts:
        """Scales and settings."""
        arrays: dict[str, NDArray[Any]] = {**self.scaler.arrays(), "residual_scale": self.residual_scale}
        return Parts(settings={"weight": self.weight, "clip": self.clip, "top": self.top}, arrays=arrays)

    @classmethod
    def of(cls, parts: Parts) -> FittedEwma:
        """The detector whose parts were saved."""
        settings = parts.settings
        return cls(
            Scaler.of(parts.arrays),
            parts.arrays["residual_scale"],
            float(settings["weight"]),
            float(settings["clip"]),
            int(settings["top"]),
        )


@dataclass(frozen=True, slots=True)
class Ewma:
    """EWMA residual of each metric."""

    settings: config.Ewma
    name: str = "ewma"
    family: str = "forecast residual"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedEwma:  # noqa: ARG002 -- nothing random
        """Learn the scale of each column and of its residual, which is floored by the resolution as well."""
        chosen = self.settings
        scaler = Scaler.learn(normal, resolution)
        found = residuals(scaler(normal), chosen.weight, chosen.clip)
        scale = Scaler.learn(found, resolution / scaler.scale).scale
        return FittedEwma(scaler, scale, chosen.weight, chosen.clip, chosen.top)
