"""The section ``detectors`` of the experiment document: which detectors, and their settings."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tasks.base.model import Seconds, Strict

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class Random(Strict):
    """Random scores: what a measure gives to a detector that knows nothing."""

    name: Literal["random"] = "random"
    """Which detector."""
    seeds: int = Field(default=20, ge=1, le=1000)
    """How many independent draws the floor's row averages over."""


class Norm(Strict):
    """Length of the scaled row: no model at all."""

    name: Literal["norm"] = "norm"
    """Which detector."""


class Constant(Strict):
    """The same score always: never an alarm."""

    name: Literal["constant"] = "constant"
    """Which detector."""


class RobustZ(Strict):
    """Distance of each metric from its training median, in robust scales."""

    name: Literal["robust_z"] = "robust_z"
    """Which detector."""
    top: int = Field(default=1, ge=1, le=1000)
    """The score is the mean of this many largest distances; 1: the largest."""


class Ewma(Strict):
    """Distance of each metric from its own recent, exponentially weighted mean."""

    name: Literal["ewma"] = "ewma"
    """Which detector."""
    weight: Share = 0.2
    """Weight of the newest row in the mean."""
    clip: Positive = 3.0
    """A row moves the mean by at most `weight` times this many scales, so that a fault is not learnt."""
    top: int = Field(default=1, ge=1, le=1000)
    """The score is the mean of this many largest distances; 1: the largest."""


class PcaSpe(Strict):
    """Squared distance of a row from the plane of the principal components."""

    name: Literal["pca_spe"] = "pca_spe"
    """Which detector."""
    variance: Share = 0.75
    """Share of the variance that the kept components explain."""


class PcaT2(Strict):
    """Hotelling's T2 within the plane of the principal components."""

    name: Literal["pca_t2"] = "pca_t2"
    """Which detector."""
    variance: Share = 0.75
    """Share of the variance that the kept components explain."""


class Mahalanobis(Strict):
    """Distance from the mean under a covariance shrunk by Ledoit and Wolf's rule."""

    name: Literal["mahalanobis"] = "mahalanobis"
    """Which detector."""


class KMeans(Strict):
    """Distance of the last rows, taken as one window, from the nearest centre of normal windows."""

    name: Literal["kmeans"] = "kmeans"
    """Which detector."""
    clusters: int = Field(default=10, ge=1, le=1000)
    """Number of centres; fewer where there are fewer training windows than twice this."""
    window_s: Seconds | None = None
    """Length of a window; unset: that of the profile, 8 s in `short` and 40 s in `long`."""
    max_train_bytes: int = Field(default=128_000_000, ge=1_000_000)
    """Training windows are taken at a stride, so that their matrix stays below this size."""


class IsolationForest(Strict):
    """How few random cuts isolate a row."""

    name: Literal["isolation_forest"] = "isolation_forest"
    """Which detector."""
    trees: int = Field(default=200, ge=1, le=5000)
    """Number of trees."""
    max_samples: int = Field(default=256, ge=2)
    """Training rows a tree sees."""
    max_features: Share = 1.0
    """Share of the metrics a tree sees."""


class OcSvm(Strict):
    """One-class support vector machine on a sampled kernel."""

    name: Literal["ocsvm"] = "ocsvm"
    """Which detector."""
    components: int = Field(default=300, ge=1, le=5000)
    """Sampled kernel columns (Nystroem); never more than training rows."""
    nu: Share = 0.05
    """Share of training rows that may lie outside."""
    max_train_rows: int = Field(default=5_000, ge=10)
    """Training rows beyond this number are thinned evenly."""


AnyDetector = Annotated[
    Random | Norm | Constant | RobustZ | Ewma | PcaSpe | PcaT2 | Mahalanobis | KMeans | IsolationForest | OcSvm,
    Field(discriminator="name"),
]
DetectorName = Literal[
    "random", "norm", "constant", "robust_z", "ewma", "pca_spe", "pca_t2", "mahalanobis", "kmeans", "isolation_forest", "ocsvm"
]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [name for name, count in Counter(item.name for item in value).items() if count > 1]
    if twice:
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return value


DetectorItem = Annotated[AnyDetector, BeforeValidator(_named, json_schema_input_type=DetectorName | AnyDetector)]
"""A detector by its bare name, or with settings: `{name: robust_z, top: 5}`."""

DetectorsConfig = Annotated[tuple[DetectorItem, ...], Field(min_length=1, strict=False), AfterValidator(_once)]
"""The section: detectors in order of the tables; each at most once."""

DEFAULT: tuple[AnyDetector, ...] = (
    RobustZ(),
    Ewma(),
    PcaSpe(),
    PcaT2(),
    Mahalanobis(),
    KMeans(),
    IsolationForest(),
    OcSvm(),
)
"""All but the floors, which every table has anyway."""
