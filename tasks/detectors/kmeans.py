"""Windowed k-means: distance of the last rows, as one long vector, from the nearest normal centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.cluster import KMeans as ClusterCentres

from tasks.detectors import config
from tasks.detectors.base import Parts, Rows
from tasks.detectors.scaling import Scaler

TRAINING_CLIP = 50.0
"""Scaled training values are cut here before clustering."""


def windows(rows: Rows, length: int, max_bytes: int) -> Rows:
    """Windows of *length* rows as vectors ``(m, length * d)``, taken at the least stride that keeps them below *max_bytes*."""
    view = sliding_window_view(rows, length, axis=0).transpose(0, 2, 1)
    stride = max(1, -(-view.shape[0] * length * rows.shape[1] * rows.itemsize // max_bytes))
    chosen = view[::stride]
    return np.ascontiguousarray(chosen).reshape(chosen.shape[0], -1)


@dataclass(frozen=True, slots=True)
class FittedKMeans:
    """Centres ``(k, w, d)`` of windows of w scaled rows, oldest row first."""

    scaler: Scaler
    centres: Rows
    name: str = "kmeans"

    def _squared(self, scaled: Rows) -> NDArray[np.float64]:
        """
        Squared distance of each row's window from each centre, ``(n, k)``, without making the windows.

        A window ends with its row; before the first row, that row is repeated.
        """
        count, length = scaled.shape[0], self.centres.shape[1]
        padded = np.concatenate([np.repeat(scaled[:1], length - 1, axis=0), scaled])
        squares = np.einsum("ij,ij->i", padded, padded).astype(np.float64)
        own = np.square(self.centres.astype(np.float64)).sum(axis=(1, 2))
        result = np.broadcast_to(own, (count, own.size)).copy()
        for lag in range(length):
            result += squares[lag : lag + count, None]
            result -= 2.0 * (padded[lag : lag + count] @ self.centres[:, lag].T)
        return np.asarray(np.maximum(result, 0.0, out=result))

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """Distance of the window that ends with each row from the nearest centre, in scales."""
        if not rows.shape[0]:
            return np.zeros(0)
        return np.asarray(np.sqrt(self._squared(self.scaler(rows)).min(axis=1)))

    def contributions(self, rows: Rows, /) -> NDArray[np.float64]:
        """Squared distance of each cell from the last row of the nearest centre."""
        if not rows.shape[0]:
            return np.zeros(rows.shape)
        scaled = self.scaler(rows)
        nearest = self._squared(scaled).argmin(axis=1)
        return np.asarray(np.square((scaled - self.centres[nearest, -1]).astype(np.float64)))

    def parts(self) -> Parts:
        """Scaler and centres."""
        arrays: dict[str, NDArray[Any]] = {**self.scaler.arrays(), "centres": self.centres}
        return Parts(arrays=arrays)

    @classmethod
    def of(cls, parts: Parts) -> FittedKMeans:
        """The detector whose parts were saved."""
        return cls(Scaler.of(parts.arrays), parts.arrays["centres"])


@dataclass(frozen=True, slots=True)
class KMeans:
    """
    KMeansAD (Yairi et al., 2001; "Fault detection by mining association rules from house-keeping data").

    *window_rows* is the length of a window; it is cut to half of the training rows.
    """

    settings: config.KMeans
    window_rows: int
    name: str = "kmeans"
    family: str = "clustering"

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedKMeans:
        """Learn the centres of normal windows; the rows are taken as successive."""
        scaler = Scaler.learn(normal, resolution)
        scaled = scaler(normal)
        np.clip(scaled, -TRAINING_CLIP, TRAINING_CLIP, out=scaled)
        length = max(1, min(self.window_rows, scaled.shape[0] // 2))
        vectors = windows(scaled, length, self.settings.max_train_bytes)
        distinct = len({hash(vector.tobytes()) for vector in vectors})
        clusters = max(1, min(self.settings.clusters, vectors.shape[0] // 2, distinct))
        labels = ClusterCentres(n_clusters=clusters, n_init=1, max_iter=100, random_state=seed).fit(vectors).labels_
        # Taken again from the labels: sums made by several threads differ in their last bits from run to run.
        centres = np.stack([vectors[labels == label].mean(axis=0, dtype=np.float64) for label in np.unique(labels)])
        return FittedKMeans(scaler, centres.astype(np.float32).reshape(-1, length, scaled.shape[1]))
