"""
What every detector promises, as checks that run on any implementation of the interface.

They are used by the project's own tests, by ``tidegauge detectors test NAME``, and by whoever packages a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
    data = scene()
    promises: tuple[tuple[str, Callable[[Detector, Scene], tuple[bool, str]]], ...] = (
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
    return [_tried(name, promise, detector, data) for name, promise in promises]


def _tried(name: str, promise: Callable[[Detector, Scene], tuple[bool, str]], detector: Detector, data: Scene) -> Check:
    try:
        return Check(name, *promise(detector, data))
    except Exception as error:
        return Check(name, ok=False, sentence=f"{type(error).__name__}: {error}")


def _fit(detector: Detector, data: Scene, seed: int = SEED) -> FittedDetector:
    return detector.fit(data.normal, resolution=data.resolution, seed=seed)


def _shape(detector: Detector, data: Scene) -> tuple[bool, str]:
    scores = _fit(detector, data).score(data.quiet)
    return scores.shape == (QUIET,) and scores.dtype == np.float64, f"{QUIET} rows gave {scores.dtype} scores of shape {scores.shape}"


def _finite(detector: Detector, data: Scene) -> tuple[bool, str]:
    scores = _fit(detector, data).score(data.broken)
    return bool(np.isfinite(scores).all()), f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite"


def _deterministic(detector: Detector, data: Scene) -> tuple[bool, str]:
    first, second = (_fit(detector, data).score(data.broken) for _ in range(2))
    return bool((first == second).all()), f"two trainings with one seed differ in {int((first != second).sum())} scores"


def _higher_is_worse(detector: Detector, data: Scene) -> tuple[bool, str]:
    if detector.name in RANK_FREE:
        return True, "a floor that ranks nothing"
    scores = _fit(detector, data).score(data.broken)
    worst, least = float(scores[:-10].max()), float(scores[-1])
    return least > worst, f"a shift of twelve deviations scores {least:.4g}, the worst quiet row {worst:.4g}"


def _past_only(detector: Detector, data: Scene) -> tuple[bool, str]:
    if detector.name == "random":
        return True, "a floor that looks at nothing"
    fitted = _fit(detector, data)
    whole, cut = fitted.score(data.broken), fitted.score(data.broken[:-10])
    same = np.allclose(whole[:-10], cut, rtol=1e-3, atol=1e-6)
    return same, "later rows change no score" if same else "a score depends on rows that came after it"


def _input_untouched(detector: Detector, data: Scene) -> tuple[bool, str]:
    normal, rows = data.normal.copy(), data.broken.copy()
    fitted = detector.fit(normal, resolution=data.resolution, seed=SEED)
    fitted.score(rows)
    fitted.contributions(rows)
    same = bool((normal == data.normal).all() and (rows == data.broken).all())
    return same, "rows are only read" if same else "rows were changed"


def _refit_leaves_old(detector: Detector, data: Scene) -> tuple[bool, str]:
    old = _fit(detector, data)
    before = old.score(data.broken)
    detector.fit(data.normal * 2 + 1, resolution=data.resolution, seed=SEED + 1)
    same = bool((old.score(data.broken) == before).all())
    return same, "a second training leaves the first alone" if same else "a second training changed the first"


def _short_inputs(detector: Detector, data: Scene) -> tuple[bool, str]:
    fitted = _fit(detector, data)
    one, none = fitted.score(data.quiet[:1]), fitted.score(data.quiet[:0])
    ok = one.shape == (1,) and bool(np.isfinite(one).all()) and none.shape == (0,)
    return ok, f"one row gave {one.size} score, no row {none.size}"


def _constant_column(detector: Detector, data: Scene) -> tuple[bool, str]:
    if detector.name in BLIND:
        return True, "by its definition it does not see a column without spread"
    rows = data.quiet.copy()
    rows[-10:, CONSTANT] += 100
    fitted = _fit(detector, data)
    quiet, moved = float(fitted.score(data.quiet)[-1]), float(fitted.score(rows)[-1])
    return moved > quiet, f"a change in a column that was constant in training moves the score from {quiet:.4g} to {moved:.4g}"


def _extremes(detector: Detector, data: Scene) -> tuple[bool, str]:
    rows = np.full_like(data.quiet, np.finfo(np.float32).max)
    rows[::2] *= -1
    fitted = _fit(detector, data)
    contributions = fitted.contributions(rows)
    ok = bool(np.isfinite(fitted.score(rows)).all()) and (contributions is None or bool(np.isfinite(contributions).all()))
    return ok, "the largest floats give finite scores" if ok else "the largest floats give scores that are not finite"


def _refuses(detector: Detector, data: Scene) -> tuple[bool, str]:
    hole = data.normal.copy()
    hole[3, 2] = np.nan
    wrong: Iterable[tuple[str, Rows, NDArray[np.float64]]] = (
        ("NaN", hole, data.resolution),
        ("two rows", data.normal[:2], data.resolution),
        ("a resolution of zero", data.normal, np.zeros(COLUMNS)),
        ("a resolution of another length", data.normal, np.ones(COLUMNS + 1)),
    )
    for what, rows, resolution in wrong:
        try:
            detector.fit(rows, resolution=resolution, seed=SEED)
        except Exception as error:
            if not str(error):
                return False, f"{what} is refused without a word"
        else:
            return False, f"{what} in training is not refused"
    return True, "NaN, too few rows, and an impossible resolution are refused"


def _contributions(detector: Detector, data: Scene) -> tuple[bool, str]:
    parts = _fit(detector, data).contributions(data.broken)
    if parts is None:
        return True, "cannot say which column"
    ok = parts.shape == data.broken.shape and bool(np.isfinite(parts).all())
    return ok, f"one finite number a cell, shape {parts.shape}"


def _column_order(detector: Detector, data: Scene) -> tuple[bool, str]:
    if detector.name not in ORDER_FREE:
        return True, "draws random numbers a column"
    order = np.random.default_rng(SEED).permutation(COLUMNS)
    turned = detector.fit(np.ascontiguousarray(data.normal[:, order]), resolution=data.resolution[order], seed=SEED)
    a, b = _fit(detector, data).score(data.broken), turned.score(np.ascontiguousarray(data.broken[:, order]))
    same = np.allclose(a, b, rtol=1e-3, atol=1e-4)
    return same, "the order of the columns does not matter" if same else "the order of the columns changes the scores"


def _saved_and_loaded(detector: Detector, data: Scene) -> tuple[bool, str]:
    fitted = _fit(detector, data)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.skops"
        model_file.save(fitted, path)
        again = model_file.load(path)
    same = again.name == fitted.name and bool((again.score(data.broken) == fitted.score(data.broken)).all())
    return same, "scores are equal to the last bit" if same else "a loaded model scores otherwise"
