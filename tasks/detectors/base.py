"""What every detector is: two small protocols, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import PreflightError

Rows = NDArray[np.float32]
MIN_ROWS = 8
"""Fewer fault-free rows say nothing about a scale."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a fitted detector is made of, as plain data: JSON *settings*, *arrays*, and scikit-learn *estimators* by name."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    estimators: Mapping[str, Any] = field(default_factory=dict)


class FittedDetector(Protocol):
    """A detector that has learnt what is normal."""

    @property
    def name(self) -> str:
        """Name of the detector."""

    def score(self, rows: Rows, /) -> NDArray[np.float64]:
        """
        Anomaly scores ``(n,)`` of *rows* ``(n, d)`` in order of time: finite, the higher the more anomalous.

        A row's score depends on it and on earlier rows only.
        """

    def contributions(self, rows: Rows, /) -> NDArray[np.float64] | None:
        """Part of each column in the scores, ``(n, d)``, the higher the more; None: the detector cannot say."""

    def parts(self) -> Parts:
        """What it is made of, to be saved."""


class Detector(Protocol):
    """A detector with its settings, before training."""

    @property
    def name(self) -> str:
        """Name, as in the experiment document."""

    @property
    def family(self) -> str:
        """Family, as in the tables; ``floor`` for those that every table has for comparison."""

    def fit(self, normal: Rows, /, *, resolution: NDArray[np.float64], seed: int) -> FittedDetector:
        """
        Learn what is normal.

        Args:
            normal: Fault-free rows ``(n, d)``, no NaN.
            resolution: Least scale of each column ``(d,)``, positive, in the column's unit.
            seed: Of every random choice.

        Raises:
            PreflightError: Too few rows.
            ValueError: NaN or infinity, or shapes that do not fit.
        """


def checked(normal: Rows, resolution: NDArray[np.float64]) -> Rows:
    """
    *normal* as contiguous float32, after the checks that :meth:`Detector.fit` promises.

    Raises:
        PreflightError: Fewer than eight rows.
        ValueError: NaN or infinity, or shapes that do not fit.
    """
    if normal.ndim != 2 or resolution.shape != (normal.shape[1],):
        raise ValueError(f"rows of shape {normal.shape} and a resolution of shape {resolution.shape} do not fit")
    if normal.shape[0] < MIN_ROWS or normal.shape[1] < 1:
        raise PreflightError(
            f"{normal.shape[0]} fault-free rows of {normal.shape[1]} metrics are too few to learn from: {MIN_ROWS} rows at least",
            next_step="record a longer training recording, or look for degraded seconds in it",
        )
    if not (np.isfinite(normal).all() and (resolution > 0).all() and np.isfinite(resolution).all()):
        raise ValueError("training rows must be finite, and the resolution finite and positive")
    return np.ascontiguousarray(normal, dtype=np.float32)


def mean_of_largest(values: NDArray[np.float32], top: int) -> NDArray[np.float64]:
    """Mean of the *top* largest of each row of *values* ``(n, d)``: ``(n,)``."""
    if top == 1:
        return np.asarray(values.max(axis=1), dtype=np.float64)
    kept = min(top, values.shape[1])
    largest = np.partition(values, values.shape[1] - kept, axis=1)[:, values.shape[1] - kept :]
    return np.asarray(largest.mean(axis=1), dtype=np.float64)
