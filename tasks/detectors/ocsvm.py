"""One-class SVM on a sampled kernel: the least ball around normal in the kernel's space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows
from tasks.detectors.scaling import Scaler

PAIRS_FROM = 500
"""The median distance is taken over all pairs of at most about this many rows."""
UPDATES = 100_000
"""Gradient steps, whatever the number of rows."""
BATCH = 8192
"""Rows whose kernel is held at a time."""


def median_gamma(rows: NDArray[np.float64]) -> float:
    """One over the median squared distance of two *rows* ``(n, d)``; one over d when that is zero."""
    stride = max(1, rows.shape[0] // PAIRS_FROM)
    middle = float(np.median(pdist(rows[::stride], "sqeuclidean")))
    return 1.0 / middle if middle > 0 else 1.0 / rows.shape[1]


@dataclass(frozen=True, slots=True)
class FittedOcSvm:
    """
    Landmarks ``(m, d)`` of the kernel and their weights ``(m,)``: the decision is linear in the kernel's columns.

    The weights are large and of both signs, so they and the kernel are float64.
    """

    scaler: Scaler
    landmarks: NDArray[np.float64]
    weights: NDArray[np.float64]
    gamma: float
    offset: float
    name: str = "ocsvm"

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Signed distance outside the boundary (Schoelkopf et al., 2001); it levels off far from all training rows."""
        scores = np.empty(rows.shape[0])
        own = np.einsum("ij,ij->i", self.landmarks, self.landmarks)
        for begin in range(0, rows.shape[0], BATCH):
            scaled = self.scaler(rows[begin : begin + BATCH]).astype(np.float64)
            squared = np.einsum("ij,ij->i", scaled, scaled)[:, None] + own - 2.0 * (scaled @ self.landmarks.T)
            np.maximum(squared, 0.0, out=squared)
            squared *= -self.gamma
            scores[begin : begin + BATCH] = self.offset - np.exp(squared, out=squared) @ self.weights
        return scores

    def contributions(self, rows: Rows, /) -> None:
        """None: the kernel mixes the columns."""

    def parts(self) -> Parts:
        """Scaler, landmarks, weights, and two numbers."""
        arrays: dict[str, NDArray[Any]] = {**self.scaler.arrays(), "landmarks": self.landmarks, "weights": self.weights}
        return Parts(settings={"gamma": self.gamma, "offset": self.offset}, arrays=arrays)

    @classmethod
    def of(cls, parts: Parts) -> FittedOcSvm:
        """The detector whose parts were saved."""
        arrays, settings = parts.arrays, parts.settings
        return cls(Scaler.of(arrays), arrays["landmarks"], arrays["weights"], float(settings["gamma"]), float(settings["offset"]))


@dataclass(frozen=True, slots=True)
class OcSvm:
    """One-class SVM by stochastic gradient on Nystroem features (Williams and Seeger, 2001)."""

    settings: config.OcSvm
    name: str = "ocsvm"
    family: str = "one-class svm"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedOcSvm:
        """Learn the boundary on at most ``max_train_rows`` rows, evenly spaced."""
        chosen = self.settings
        scaler = Scaler.learn(normal, resolution)
        stride = -(-normal.shape[0] // chosen.max_train_rows)
        scaled = scaler(normal[::stride]).astype(np.float64)
        gamma = median_gamma(scaled)
        kernel = Nystroem(gamma=gamma, n_components=min(chosen.components, scaled.shape[0]), random_state=seed)
        mapped = kernel.fit_transform(scaled)
        epochs = max(1, UPDATES // scaled.shape[0])
        svm = SGDOneClassSVM(nu=chosen.nu, tol=None, max_iter=epochs, average=True, random_state=seed).fit(mapped)
        weights = kernel.normalization_.T @ np.ravel(svm.coef_)
        return FittedOcSvm(scaler, np.asarray(kernel.components_), np.asarray(weights), gamma, float(np.ravel(svm.offset_)[0]))
