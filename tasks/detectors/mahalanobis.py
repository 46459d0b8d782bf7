"""Mahalanobis distance under a shrunk covariance: breaks in how metrics move together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows
from tasks.detectors.scaling import Scaler

TRAINING_CLIP = 50.0
"""Scaled training values are cut here before the covariance is taken."""
RIDGE = 1e-2
"""Added to every variance (in squared scales), so that constant columns can be divided by."""


def shrunk_covariance(centred: Rows) -> NDArray[np.float64]:
    """
    Covariance of *centred* rows ``(n, d)``, shrunk towards a multiple of the identity, ``(d, d)``.

    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices". The sum over all
    products of squared columns, which is most of the work in scikit-learn's version, is that of the squared row norms.
    """
    count, columns = centred.shape
    covariance: NDArray[np.float64] = (centred.T @ centred).astype(np.float64) / count
    mean_variance = np.trace(covariance) / columns
    squared = np.square(covariance).sum()
    fourth = np.square(np.einsum("ij,ij->i", centred, centred).astype(np.float64)).sum()
    dispersion = (squared - columns * mean_variance**2) / columns
    error = (fourth / count - squared) / (columns * count)
    shrinkage = 0.0 if dispersion <= 0 else min(max(error, 0.0), dispersion) / dispersion
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices(columns)] += shrinkage * mean_variance
    return covariance


@dataclass(frozen=True, slots=True)
class FittedMahalanobis:
    """Mean ``(d,)`` and whitening matrix ``(d, d)``: the squared length of a whitened row is its squared distance."""

    scaler: Scaler
    mean: Rows
    whitener: Rows
    name: str = "mahalanobis"

    def _whitened(self, rows: Rows) -> tuple[Rows, Rows]:
        centred = self.scaler(rows)
        centred -= self.mean
        return centred, centred @ self.whitener

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared Mahalanobis distance from the training mean (Mahalanobis, 1936)."""
        _, white = self._whitened(rows)
        return np.asarray(np.einsum("ij,ij->i", white, white), dtype=np.float64)

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """What each cell adds to the score; they add up to it, and a cell that lowers it is negative."""
        centred, white = self._whitened(rows)
        return (white @ self.whitener.T).astype(np.float64) * centred

    def parts(self) -> Parts:
        """Scaler, mean and whitening matrix."""
        arrays: dict[str, NDArray[Any]] = {**self.scaler.arrays(), "mean": self.mean, "whitener": self.whitener}
        return Parts(arrays=arrays)

    @classmethod
    def of(cls, parts: Parts) -> FittedMahalanobis:
        """The detector whose parts were saved."""
        return cls(Scaler.of(parts.arrays), parts.arrays["mean"], parts.arrays["whitener"])


@dataclass(frozen=True, slots=True)
class Mahalanobis:
    """Mahalanobis distance, covariance by Ledoit and Wolf (2004), "A well-conditioned estimator"."""

    settings: config.Mahalanobis
    name: str = "mahalanobis"
    family: str = "covariance"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedMahalanobis:  # noqa: ARG002 -- nothing random
        """Learn mean and covariance of the scaled columns."""
        scaler = Scaler.learn(normal, resolution)
        scaled = scaler(normal)
        np.clip(scaled, -TRAINING_CLIP, TRAINING_CLIP, out=scaled)
        mean = scaled.mean(axis=0, dtype=np.float64).astype(np.float32)
        scaled -= mean
        covariance = shrunk_covariance(scaled)
        covariance[np.diag_indices_from(covariance)] += RIDGE
        lower = np.linalg.cholesky(covariance)
        whitener = solve_triangular(lower, np.eye(lower.shape[0]), lower=True).T
        return FittedMahalanobis(scaler, mean, np.ascontiguousarray(whitener, dtype=np.float32))
