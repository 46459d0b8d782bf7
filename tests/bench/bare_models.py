"""The same models in bare scikit-learn, as one would write them by hand: a robust scaler, then the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM
from sklearn.preprocessing import RobustScaler

from tasks.detectors.base import Rows
from tasks.detectors.config import KMeans as KMeansSettings
from tasks.detectors.kmeans import windows
from tasks.detectors.mahalanobis import RIDGE
from tasks.detectors.ocsvm import UPDATES, median_gamma
from tasks.detectors.registry import WINDOW_S

SEED = 7
VARIANCE = 0.75
TRAIN_ROWS = 5000
WINDOW = round(WINDOW_S["short"])

Scores = NDArray[np.float64]


def _same(scores: Any, _: Rows) -> Scores:
    return np.asarray(scores, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Bare:
    """A model of scikit-learn: training and scores in one go."""

    call: str
    """What is called, for the table."""
    scores: Callable[[Rows], Any]
    tolerance: float
    """Largest relative difference of a score that is still the same result."""
    as_ours: Callable[[Any, Rows], Scores] = _same
    """Its result in our definition, outside of the time taken."""
    profile: Literal["short", "long"] = "long"


SCALED = "RobustScaler(unit_variance=True)"


def scaled(rows: Rows) -> Rows:
    """Distances from the median in interquartile ranges of a standard normal: what our scaler does without its floors."""
    found: Rows = RobustScaler(unit_variance=True).fit_transform(rows)
    return found


def robust(rows: Rows) -> Scores:
    """Largest distance from the median."""
    return np.abs(rows).max(axis=1)


def spe(rows: Rows) -> Scores:
    """Squared distance from the plane of the components."""
    model = PCA(n_components=VARIANCE).fit(rows)
    rest = rows - model.inverse_transform(model.transform(rows))
    return np.einsum("ij,ij->i", rest, rest)


def t2(rows: Rows) -> Scores:
    """Squared distance within the plane, in the components' variances."""
    model = PCA(n_components=VARIANCE).fit(rows)
    return np.square(model.transform(rows)) @ (1.0 / model.explained_variance_)


def shrunk(rows: Rows) -> tuple[Scores, LedoitWolf]:
    """Squared Mahalanobis distance, and the model."""
    model = LedoitWolf().fit(rows)
    return model.mahalanobis(rows), model


def with_ridge(found: tuple[Scores, LedoitWolf], rows: Rows) -> Scores:
    """The distance under scikit-learn's covariance and mean, with the ridge that our variances have."""
    _, model = found
    centred = rows.astype(np.float64) - model.location_
    inverse = np.linalg.inv(model.covariance_ + RIDGE * np.eye(rows.shape[1]))
    return np.einsum("ij,ij->i", centred @ inverse, centred)


def clustered(rows: Rows) -> Scores:
    """Distance of each window from the nearest of ten centres, learnt on as many windows as our cap takes."""
    training = windows(rows, WINDOW, KMeansSettings().max_train_bytes)
    model = KMeans(n_clusters=10, n_init=1, max_iter=100, random_state=SEED).fit(training)
    padded = np.concatenate([np.repeat(rows[:1], WINDOW - 1, axis=0), rows])
    every = sliding_window_view(padded, WINDOW, axis=0).transpose(0, 2, 1).reshape(len(rows), -1)
    return model.transform(every).min(axis=1)


def isolated(rows: Rows) -> Scores:
    """Isolation forest of 200 trees of 256 rows."""
    return -IsolationForest(n_estimators=200, max_samples=256, random_state=SEED).fit(rows).score_samples(rows)


def one_class(rows: Rows) -> Scores:
    """Nystroem features and a linear one-class SVM, learnt on 5,000 rows."""
    training = rows[:: -(-len(rows) // TRAIN_ROWS)].astype(np.float64)
    kernel = Nystroem(gamma=median_gamma(training), n_components=300, random_state=SEED)
    mapped = kernel.fit_transform(training)
    epochs = max(1, UPDATES // len(training))
    svm = SGDOneClassSVM(nu=0.05, tol=None, max_iter=epochs, average=True, random_state=SEED).fit(mapped)
    return -svm.decision_function(kernel.transform(rows.astype(np.float64)))


BARE: Mapping[str, Bare] = {
    "robust_z": Bare("abs(rows).max(axis=1)", robust, 0.01),
    "pca_spe": Bare("PCA(n_components=0.75), squared rest of inverse_transform(transform(rows))", spe, 0.01),
    "pca_t2": Bare("PCA(n_components=0.75), transform(rows)**2 @ (1 / explained_variance_)", t2, 0.01),
    "mahalanobis": Bare("LedoitWolf().fit(rows).mahalanobis(rows)", shrunk, 0.01, with_ridge),
    "kmeans": Bare(
        "KMeans(10, n_init=1, max_iter=100).fit(windows of 8 rows).transform(...).min(axis=1)", clustered, 0.01, profile="short"
    ),
    "isolation_forest": Bare("IsolationForest(200, max_samples=256).fit(rows).score_samples(rows)", isolated, 0.01),
    "ocsvm": Bare("SGDOneClassSVM(nu=0.05) on Nystroem(n_components=300) of 5,000 rows", one_class, 0.01),
}
