"""Isolation forest: rows that few random cuts isolate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as Forest

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows
from tasks.detectors.scaling import Scaler


@dataclass(frozen=True, slots=True)
class FittedIsolationForest:
    """A forest on scaled rows."""

    scaler: Scaler
    forest: Any
    name: str = "isolation_forest"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Between 0 and 1: two to the power of minus the mean path length over its expectation (Liu, Ting and Zhou, 2008)."""
        if not rows.shape[0]:
            return np.zeros(0)
        return -np.asarray(self.forest.score_samples(self.scaler(rows)), dtype=np.float64)

    def contributions(self, rows: Rows, /) -> None:
        """None: the cuts are random."""

    def parts(self) -> Parts:
        """Scaler and forest."""
        return Parts(arrays=self.scaler.arrays(), estimators={"forest": self.forest})

    @classmethod
    def of(cls, parts: Parts) -> FittedIsolationForest:
        """The detector whose parts were saved."""
        return cls(Scaler.of(parts.arrays), parts.estimators["forest"])


@dataclass(frozen=True, slots=True)
class IsolationForest:
    """Isolation forest of Liu, Ting and Zhou (2008)."""

    settings: config.IsolationForest
    name: str = "isolation_forest"
    family: str = "isolation"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedIsolationForest:
        """Grow the trees."""
        scaler = Scaler.learn(normal, resolution)
        chosen = self.settings
        forest = Forest(
            n_estimators=chosen.trees,
            max_samples=min(chosen.max_samples, normal.shape[0]),
            max_features=chosen.max_features,
            random_state=seed,
        )
        return FittedIsolationForest(scaler, forest.fit(scaler(normal)))
