"""Robust z: how many robust scales the farthest metrics are from their medians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows, mean_of_largest
from tasks.detectors.scaling import Scaler


@dataclass(frozen=True, slots=True)
class FittedRobustZ:
    """Medians, scales, and how many of the largest distances are averaged."""

    scaler: Scaler
    top: int
    name: str = "robust_z"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Mean of the *top* largest absolute z of each row."""
        scaled = self.scaler(rows)
        return mean_of_largest(np.abs(scaled, out=scaled), self.top)

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """Absolute z of each cell."""
        return np.abs(self.scaler(rows)).astype(np.float64)

    def parts(self) -> Parts:
        """The scaler and *top*."""
        return Parts(settings={"top": self.top}, arrays=self.scaler.arrays())

    @classmethod
    def of(cls, parts: Parts) -> FittedRobustZ:
        """The detector whose parts were saved."""
        return cls(Scaler.of(parts.arrays), int(parts.settings["top"]))


@dataclass(frozen=True, slots=True)
class RobustZ:
    """Robust z of each metric."""

    settings: config.RobustZ
    name: str = "robust_z"
    family: str = "robust z"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedRobustZ:  # noqa: ARG002 -- nothing random
        """Learn median and scale of each column."""
        return FittedRobustZ(Scaler.learn(normal, resolution), self.settings.top)
