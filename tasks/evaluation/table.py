"""Every detector of a run judged on one recording of faults, and what the whole table can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import IncompleteError
from tasks.evaluation.chance import random_row
from tasks.evaluation.comparison import Pair, compare
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.detector import evaluate_detector, without_figures
from tasks.evaluation.leakage import Leakage
from tasks.evaluation.power import Power, power
from tasks.evaluation.result import DetectorResult
from tasks.evaluation.thresholds import Calibration
from tasks.evaluation.truth import Truth

RANDOM = "random"


@dataclass(frozen=True, slots=True)
class ScoredDetector:
    """What a detector said of two recordings; NaN: no score."""

    name: str
    family: str
    calibration: NDArray[np.float64]
    """Scores of the fault-free calibration rows, degraded ones as NaN, shape ``(n_calibration_rows,)``."""
    faults: NDArray[np.float64]
    """Scores of the rows with faults, shape ``(n_rows,)``."""
    failure: str | None = None
    """Why there are no scores: the detector failed, or ran out of time."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The table, and what stands under it."""

    results: tuple[DetectorResult, ...]
    """In the order in which the detectors were given."""
    power: Power
    pairs: tuple[Pair, ...]
    """Floors left out."""
    leakage: Leakage | None
    """None: not looked for."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the run's public object."""
        return [result.public_row() for result in self.results]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of everything."""
        return {
            "results": [result.to_json() for result in self.results],
            "power": self.power.to_json(),
            "pairs": [pair.to_json() for pair in self.pairs],
            "leakage": None if self.leakage is None else self.leakage.to_json(),
        }


def evaluate(
    detectors: Sequence[ScoredDetector],
    truth: Truth,
    settings: EvaluationConfig,
    calibration: Calibration,
    *,
    seed: int,
    leakage: Leakage | None = None,
) -> Evaluation:
    """
    Judge all *detectors* on the recording of *truth*.

    The row ``random`` is drawn here under several seeds, on the rows where the given scores are; its scores are not used.
    """
    results = tuple(_judged(detector, truth, settings, calibration, seed=seed) for detector in detectors)
    return Evaluation(results, power(results), compare([r for r in results if r.family != "floor"]), leakage)


def _judged(detector: ScoredDetector, truth: Truth, settings: EvaluationConfig, calibration: Calibration, *, seed: int) -> DetectorResult:
    if detector.failure is not None:
        return without_figures(detector.name, detector.family, detector.failure, truth, settings)
    try:
        if detector.name == RANDOM:
            known, tested = np.isfinite(detector.calibration), np.isfinite(detector.faults)
            return random_row(calibration, truth, settings, scored_in_calibration=known, scored=tested, seed=seed)
        threshold = calibration.threshold(detector.calibration)
    except IncompleteError as error:
        return without_figures(detector.name, detector.family, error.message, truth, settings)
    return evaluate_detector(detector.name, detector.family, detector.faults, threshold, truth, settings)
