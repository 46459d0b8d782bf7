"""
Every detector by its name.

numpy is imported only when a detector is made, scikit-learn only when it is one that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import TypeAdapter

from tasks.base.errors import DocumentError
from tasks.detectors import config

if TYPE_CHECKING:
    from tasks.detectors.base import Detector, FittedDetector, Parts

FLOORS = ("random", "norm", "constant")
"""Rows of every table, whatever the document lists."""
NAMES: tuple[str, ...] = get_args(config.DetectorName)
"""All detectors, floors first."""
WINDOW_S = {"short": 8.0, "long": 40.0}
"""Length of a detector's window by profile, in seconds."""
_FAMILIES = {
    "random": "floor",
    "norm": "floor",
    "constant": "floor",
    "robust_z": "robust z",
    "ewma": "forecast residual",
    "pca_spe": "pca",
    "pca_t2": "pca",
    "mahalanobis": "covariance",
    "kmeans": "clustering",
    "isolation_forest": "isolation",
    "ocsvm": "one-class svm",
}
_ITEM: TypeAdapter[config.AnyDetector] = TypeAdapter(config.DetectorItem)


@dataclass(frozen=True, slots=True)
class Description:
    """A line of ``tidegauge detectors list``; *settings* are the defaults."""

    name: str
    family: str
    sentence: str
    settings: dict[str, Any]


def descriptions() -> tuple[Description, ...]:
    """All detectors, floors first."""
    items = [settings_of(name) for name in NAMES]
    return tuple(
        Description(item.name, _FAMILIES[item.name], (type(item).__doc__ or "").strip().splitlines()[0], item.model_dump(exclude={"name"}))
        for item in items
    )


def settings_of(name: str) -> config.AnyDetector:
    """
    The default settings of the detector *name*.

    Raises:
        DocumentError: There is no such detector.
    """
    if name not in NAMES:
        raise DocumentError(f"there is no detector named {name!r}", next_step=f"name one of: {', '.join(NAMES)}")
    return _ITEM.validate_python(name)


def make(item: config.AnyDetector | str, *, profile: Literal["short", "long"] = "long", grid_s: float = 1.0) -> Detector:
    """
    The detector that *item* (settings, or a bare name) describes.

    Args:
        item: An entry of the section ``detectors``.
        profile: Chooses the length of windows that the item leaves open.
        grid_s: Seconds from row to row: windows are given in seconds and counted in rows.

    Raises:
        DocumentError: There is no such detector.
    """
    chosen = settings_of(item) if isinstance(item, str) else item
    if isinstance(chosen, config.Random | config.Norm | config.Constant):
        return _floor(chosen)
    if isinstance(chosen, config.KMeans):
        from tasks.detectors.kmeans import KMeans

        window_s = chosen.window_s or WINDOW_S[profile]
        return KMeans(chosen, max(1, round(window_s / grid_s)))
    if isinstance(chosen, config.PcaSpe | config.PcaT2):
        from tasks.detectors.pca import PcaSpe, PcaT2

        return PcaSpe(chosen) if isinstance(chosen, config.PcaSpe) else PcaT2(chosen)
    return _other(chosen)


def _floor(chosen: config.Random | config.Norm | config.Constant) -> Detector:
    from tasks.detectors.floors import Constant, Norm, Random

    if isinstance(chosen, config.Random):
        return Random(chosen)
    return Norm(chosen) if isinstance(chosen, config.Norm) else Constant(chosen)


def _other(chosen: config.RobustZ | config.Ewma | config.Mahalanobis | config.IsolationForest | config.OcSvm) -> Detector:
    if isinstance(chosen, config.RobustZ):
        from tasks.detectors.robust_z import RobustZ

        return RobustZ(chosen)
    if isinstance(chosen, config.Ewma):
        from tasks.detectors.ewma import Ewma

        return Ewma(chosen)
    if isinstance(chosen, config.Mahalanobis):
        from tasks.detectors.mahalanobis import Mahalanobis

        return Mahalanobis(chosen)
    if isinstance(chosen, config.IsolationForest):
        from tasks.detectors.isolation_forest import IsolationForest

        return IsolationForest(chosen)
    from tasks.detectors.ocsvm import OcSvm

    return OcSvm(chosen)


def restore(name: str, parts: Parts) -> FittedDetector:
    """
    The fitted detector *name* from its *parts*.

    Raises:
        KeyError: There is no such detector, or a part is missing.
    """
    from tasks.detectors import ewma, floors, isolation_forest, kmeans, mahalanobis, ocsvm, pca, robust_z

    makers: dict[str, Callable[[Parts], FittedDetector]] = {
        "random": floors.FittedRandom.of,
        "norm": floors.FittedNorm.of,
        "constant": floors.FittedConstant.of,
        "robust_z": robust_z.FittedRobustZ.of,
        "ewma": ewma.FittedEwma.of,
        "pca_spe": pca.FittedSpe.of,
        "pca_t2": pca.FittedT2.of,
        "mahalanobis": mahalanobis.FittedMahalanobis.of,
        "kmeans": kmeans.FittedKMeans.of,
        "isolation_forest": isolation_forest.FittedIsolationForest.of,
        "ocsvm": ocsvm.FittedOcSvm.of,
    }
    return makers[name](parts)
