"""
What every detector promises, as checks that run on any implementation of the interface.

They are used by the project's own tests, by ``tidegauge detectors test NAME``, and by whoever packages a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tasks.detectors import model_file
from tasks.detectors.base import Detector, FittedDetector, Rows

SEED = 7
ROWS, COLUMNS, QUIET, CONSTANT = 160, 6, 40, 4
RANK_FREE = frozenset({"random", "constant"})
"""Floors whose scores do not rank anything."""
BLIND = RANK_FREE | {"pca_t2", "isolation_forest"}
"""Detectors that by their definition cannot see a column without spread: no cut, and no component, runs along it."""
ORDER_FREE = frozenset({"norm", "constant", "robust_z", "ewma", "pca_spe", "pca_t2", "mahalanobis"})
"""Detectors whose scores cannot depend on the order of the columns (the others draw random numbers a column)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: its *name*, whether it holds, and a *sentence* saying what was seen."""

    name: str
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Correlated normal rows with one constant column, a quiet continuation, and the same with a gross anomaly at its end."""

    normal: Rows
    quiet: Rows
    broken: Rows
    resolution: NDArray[np.float64]


class Subject:
    """A detector and what it is tried on; most checks share one training."""

    def __init__(self, detector: Detector, data: Scene) -> None:
        self.detector = detector
        self.data = data

    def fit(self) -> FittedDetector:
        """Train it anew."""
        return self.detector.fit(self.data.normal, resolution=self.data.resolution, seed=SEED)

    @cached_property
    def fitted(self) -> FittedDetector:
        """It, trained once."""
        return self.fit()


Promise = Callable[[Subject], tuple[bool, str]]


def scene(seed: int = SEED) -> Scene:
    """The rows that the checks run on."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, COLUMNS))
    rows = rng.normal(size=(ROWS + QUIET, 3)) @ mixing + 0.3 * rng.normal(size=(ROWS + QUIET, COLUMNS))
    rows = rows * np.array([1, 10, 0.01, 1e6, 1, 5]) + np.array([0, 50, 0.05, 2e8, 3, 20])
    rows[:, CONSTANT] = 3.0
    rows = rows.astype(np.float32)
    broken = rows[ROWS:].copy()
    step = 12 * rows[:ROWS].std(axis=0)
    step[CONSTANT] = 2.0
    broken[-10:] += step
    return Scene(rows[:ROWS], rows[ROWS:], broken, np.array([0.05, 0.5, 0.001, 1e5, 0.1, 0.5]))


def check(detector: Detector) -> list[Check]:
    """
    Try every promise on *detector*.

    Returns:
        One entry a promise, in a fixed order. A promise that raises does not hold, and says what was raised.
    """
    subject = Subject(detector, scene())
    promises: tuple[tuple[str, Promise], ...] = (
        ("shape", _shape),
        ("finite", _finite),
        ("deterministic", _deterministic),
        ("higher is worse", _higher_is_worse),
        ("past only", _past_only),
        ("input untouched", _input_untouched),
        ("refit leaves the old one", _refit_leaves_old),
        ("one row, no row", _short_inputs),
        ("constant column shows a change", _constant_column),
        ("extreme values stay finite", _extremes),
        ("refuses what it cannot learn from", _refuses),
        ("contributions", _contributions),
        ("column order", _column_order),
        ("saved and loaded", _saved_and_loaded),
    )
    return [_tried(name, promise, subject) for name, promise in promises]


def _tried(name: str, promise: Promise, subject: Subject) -> Check:
    try:
        return Check(name, *promise(subject))
    except Exception as error:
        return Check(name, ok=False, sentence=f"{type(error).__name__}: {error}")


def _shape(subject: Subject) -> tuple[bool, str]:
    scores = subject.fitted.score(subject.data.quiet)
    return scores.shape == (QUIET,) and scores.dtype == np.float64, f"{QUIET} rows gave {scores.dtype} scores of shape {scores.shape}"


def _finite(subject: Subject) -> tuple[bool, str]:
    scores = subject.fitted.score(subject.data.broken)
    return bool(np.isfinite(scores).all()), f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite"


def _deterministic(subject: Subject) -> tuple[bool, str]:
    first, second = subject.fitted.score(subject.data.broken), subject.fit().score(subject.data.broken)
    return bool((first == second).all()), f"two trainings with one seed differ in {int((first != second).sum())} scores"


def _higher_is_worse(subject: Subject) -> tuple[bool, str]:
    if subject.detector.name in RANK_FREE:
        return True, "a floor that ranks nothing"
    scores = subject.fitted.score(subject.data.broken)
    worst, least = float(scores[:-10].max()), float(scores[-1])
    return least > worst, f"a shift of twelve deviations scores {least:.4g}, the worst quiet row {worst:.4g}"


def _past_only(subject: Subject) -> tuple[bool, str]:
    if subject.detector.name == "random":
        return True, "a floor that looks at nothing"
    fitted = subject.fitted
    whole, cut = fitted.score(subject.data.broken), fitted.score(subject.data.broken[:-10])
    same = np.allclose(whole[:-10], cut, rtol=1e-3, atol=1e-6)
    return same, "later rows change no score" if same else "a score depends on rows that came after it"


def _input_untouched(subject: Subject) -> tuple[bool, str]:
    normal, rows = subject.data.normal.copy(), subject.data.broken.copy()
    fitted = subject.detector.fit(normal, resolution=subject.data.resolution, seed=SEED)
    fitted.score(rows)
    fitted.contributions(rows)
    same = bool((normal == subject.data.normal).all() and (rows == subject.data.broken).all())
    return same, "rows are only read" if same else "rows were changed"


def _refit_leaves_old(subject: Subject) -> tuple[bool, str]:
    old = subject.fitted
    before = old.score(subject.data.broken)
    subject.detector.fit(subject.data.normal * 2 + 1, resolution=subject.data.resolution, seed=SEED + 1)
    same = bool((old.score(subject.data.broken) == before).all())
    return same, "a second training leaves the first alone" if same else "a second training changed the first"


def _short_inputs(subject: Subject) -> tuple[bool, str]:
    fitted = subject.fitted
    one, none = fitted.score(subject.data.quiet[:1]), fitted.score(subject.data.quiet[:0])
    ok = one.shape == (1,) and bool(np.isfinite(one).all()) and none.shape == (0,)
    return ok, f"one row gave {one.size} score, no row {none.size}"


def _constant_column(subject: Subject) -> tuple[bool, str]:
    if subject.detector.name in BLIND:
        return True, "by its definition it does not see a column without spread"
    rows = subject.data.quiet.copy()
    rows[-10:, CONSTANT] += 100
    fitted = subject.fitted
    quiet, moved = float(fitted.score(subject.data.quiet)[-1]), float(fitted.score(rows)[-1])
    return moved > quiet, f"a change in a column that was constant in training moves the score from {quiet:.4g} to {moved:.4g}"


def _extremes(subject: Subject) -> tuple[bool, str]:
    rows = np.full_like(subject.data.quiet, np.finfo(np.float32).max)
    rows[::2] *= -1
    fitted = subject.fitted
    contributions = fitted.contributions(rows)
    ok = bool(np.isfinite(fitted.score(rows)).all()) and (contributions is None or bool(np.isfinite(contributions).all()))
    return ok, "the largest floats give finite scores" if ok else "the largest floats give scores that are not finite"


def _refuses(subject: Subject) -> tuple[bool, str]:
    hole = subject.data.normal.copy()
    hole[3, 2] = np.nan
    wrong: Iterable[tuple[str, Rows, NDArray[np.float64]]] = (
        ("NaN", hole, subject.data.resolution),
        ("two rows", subject.data.normal[:2], subject.data.resolution),
        ("a resolution of zero", subject.data.normal, np.zeros(COLUMNS)),
        ("a resolution of another length", subject.data.normal, np.ones(COLUMNS + 1)),
    )
    for what, rows, resolution in wrong:
        try:
            subject.detector.fit(rows, resolution=resolution, seed=SEED)
        except Exception as error:
            if not str(error):
                return False, f"{what} is refused without a word"
        else:
            return False, f"{what} in training is not refused"
    return True, "NaN, too few rows, and an impossible resolution are refused"


def _contributions(subject: Subject) -> tuple[bool, str]:
    parts = subject.fitted.contributions(subject.data.broken)
    if parts is None:
        return True, "cannot say which column"
    ok = parts.shape == subject.data.broken.shape and bool(np.isfinite(parts).all())
    return ok, f"one finite number a cell, shape {parts.shape}"


def _column_order(subject: Subject) -> tuple[bool, str]:
    if subject.detector.name not in ORDER_FREE:
        return True, "draws random numbers a column"
    order = np.random.default_rng(SEED).permutation(COLUMNS)
    turned = subject.detector.fit(np.ascontiguousarray(subject.data.normal[:, order]), resolution=subject.data.resolution[order], seed=SEED)
    a, b = subject.fitted.score(subject.data.broken), turned.score(np.ascontiguousarray(subject.data.broken[:, order]))
    same = np.allclose(a, b, rtol=1e-3, atol=1e-4)
    return same, "the order of the columns does not matter" if same else "the order of the columns changes the scores"


def _saved_and_loaded(subject: Subject) -> tuple[bool, str]:
    fitted = subject.fitted
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.skops"
        model_file.save(fitted, path)
        again = model_file.load(path)
    same = again.name == fitted.name and bool((again.score(subject.data.broken) == fitted.score(subject.data.broken)).all())
    return same, "scores are equal to the last bit" if same else "a loaded model scores otherwise"
