"""Principal components: distance from their plane (SPE), and distance within it (Hotelling's T2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows
from tasks.detectors.scaling import Scaler

TRAINING_CLIP = 50.0
"""Scaled training values are cut here before the covariance, so that one stray row does not own the first component."""
LEAST_VARIANCE = 1e-2
"""No component's variance counts as less (in squared scales): a smaller one is below the resolution of the metrics."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Mean ``(d,)``, orthonormal components ``(d, k)`` and their variances ``(k,)`` of the scaled training rows."""

    scaler: Scaler
    mean: Rows
    components: Rows
    variances: Rows

    @classmethod
    def learn(cls, normal: Rows, resolution: NDArray[np.float64], share: float) -> Plane:
        """The fewest components that explain *share* of the variance: eigenvectors of the covariance."""
        scaler = Scaler.learn(normal, resolution)
        scaled = scaler(normal)
        np.clip(scaled, -TRAINING_CLIP, TRAINING_CLIP, out=scaled)
        mean = scaled.mean(axis=0, dtype=np.float64).astype(np.float32)
        scaled -= mean
        covariance = (scaled.T @ scaled).astype(np.float64) / max(1, scaled.shape[0] - 1)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        explained = np.cumsum(values)
        kept = 1 if explained[-1] <= 0 else int(np.searchsorted(explained, share * explained[-1])) + 1
        kept = min(kept, values.size)
        variances = np.maximum(values[:kept], LEAST_VARIANCE).astype(np.float32)
        return cls(scaler, mean, np.ascontiguousarray(vectors[:, :kept], dtype=np.float32), variances)

    def project(self, rows: Rows) -> tuple[Rows, Rows]:
        """Centred scaled rows ``(n, d)``, and their coordinates in the plane ``(n, k)``."""
        centred = self.scaler(rows)
        centred -= self.mean
        return centred, centred @ self.components

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays, to be saved."""
        return {**self.scaler.arrays(), "mean": self.mean, "components": self.components, "variances": self.variances}

    @classmethod
    def of(cls, parts: Parts) -> Plane:
        """The plane whose arrays were saved."""
        arrays = parts.arrays
        return cls(Scaler.of(arrays), arrays["mean"], arrays["components"], arrays["variances"])


@dataclass(frozen=True, slots=True)
class FittedSpe:
    """Squared prediction error (Jackson and Mudholkar, 1979)."""

    plane: Plane
    name: str = "pca_spe"

    def _rest(self, rows: Rows) -> Rows:
        centred, inside = self.plane.project(rows)
        centred -= inside @ self.plane.components.T
        return centred

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared length of what the plane does not explain."""
        rest = self._rest(rows)
        return np.asarray(np.einsum("ij,ij->i", rest, rest), dtype=np.float64)

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared unexplained part of each cell; they add up to the score."""
        return np.square(self._rest(rows).astype(np.float64))

    def parts(self) -> Parts:
        """The plane."""
        return Parts(arrays=self.plane.arrays())

    @classmethod
    def of(cls, parts: Parts) -> FittedSpe:
        """The detector whose parts were saved."""
        return cls(Plane.of(parts))


@dataclass(frozen=True, slots=True)
class FittedT2:
    """Hotelling's T2 (Hotelling, 1931) of the kept components."""

    plane: Plane
    name: str = "pca_t2"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared distance within the plane, in the components' own variances."""
        _, inside = self.plane.project(rows)
        return np.square(inside.astype(np.float64)) @ (1.0 / self.plane.variances.astype(np.float64))

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """What each cell adds to the score; they add up to it, and a cell that lowers it is negative."""
        centred, inside = self.plane.project(rows)
        pull = (inside / self.plane.variances) @ self.plane.components.T
        return np.asarray(pull * centred, dtype=np.float64)

    def parts(self) -> Parts:
        """The plane."""
        return Parts(arrays=self.plane.arrays())

    @classmethod
    def of(cls, parts: Parts) -> FittedT2:
        """The detector whose parts were saved."""
        return cls(Plane.of(parts))


@dataclass(frozen=True, slots=True)
class PcaSpe:
    """Squared distance from the plane of the principal components."""

    settings: config.PcaSpe
    name: str = "pca_spe"
    family: str = "pca"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedSpe:  # noqa: ARG002 -- nothing random
        """Learn the plane."""
        return FittedSpe(Plane.learn(normal, resolution, self.settings.variance))


@dataclass(frozen=True, slots=True)
class PcaT2:
    """Distance within the plane of the principal components."""

    settings: config.PcaT2
    name: str = "pca_t2"
    family: str = "pca"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedT2:  # noqa: ARG002 -- nothing random
        """Learn the plane."""
        return FittedT2(Plane.learn(normal, resolution, self.settings.variance))
