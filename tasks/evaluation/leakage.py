"""Whether the harness betrays itself: can placebos be told from quiet time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.truth import Truth

if TYPE_CHECKING:  # it is loaded where it learns: a run that reuses everything never waits for it
    from sklearn.linear_model import LogisticRegression

MIN_PLACEBOS = 2
_CLIP = 10.0


@dataclass(frozen=True, slots=True)
class Leakage:
    """How well a classifier tells the rows of an unseen placebo from the quiet rows beside it; .5 is chance."""

    auc: float | None
    """Mean over placebos of the area under the ROC curve; None with fewer than two placebos that can be used."""
    placebos: int
    """Placebos used."""
    placebo_rows: int
    quiet_rows: int
    columns: tuple[str, ...]
    """The three columns with the largest weights in a classifier of all the rows."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def leakage(values: NDArray[np.floating[Any]], columns: Sequence[str], truth: Truth) -> Leakage:
    """
    Train a classifier on all placebos but one, and see whether it knows the last.

    Each placebo brings the quiet rows nearest to it, as many as its own, so that a drift over the recording does not help.
    A column is centred on the median of these quiet rows and scaled by its standard deviation over both (a constant one
    by 1), clipped, and a ridge-penalised logistic regression is fitted.

    Args:
        values: The feature matrix, shape ``(n_rows, n_columns)``; NaN is taken as the quiet rows' median.
        columns: Names of the columns.
        truth: The recording, with its placebos.
    """
    if values.shape != (len(truth.time_s), len(columns)):
        raise ValueError(f"values have shape {values.shape}, not ({len(truth.time_s)}, {len(columns)})")
    folds = _folds(np.asarray(values, dtype=float), truth)
    rows = sum(int(labels.sum()) for _, labels in folds)
    quiet = sum(int((~labels).sum()) for _, labels in folds)
    if len(folds) < MIN_PLACEBOS:
        return Leakage(None, len(folds), rows, quiet, ())
    from sklearn.metrics import roc_auc_score

    areas = []
    for left_out, (tested, labels) in enumerate(folds):
        model = _fitted([fold for i, fold in enumerate(folds) if i != left_out])
        areas.append(float(roc_auc_score(labels, model.decision_function(tested))))
    weights = np.abs(_fitted(folds).coef_[0])
    strongest = [i for i in np.argsort(-weights, kind="stable")[:3] if weights[i] > 0]
    return Leakage(float(np.mean(areas)), len(folds), rows, quiet, tuple(columns[i] for i in strongest))


def _folds(values: NDArray[np.float64], truth: Truth) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """For each placebo its scaled rows and the quiet ones beside it, with True for the placebo's."""
    windows = [truth.detection_window(trial) for trial in truth.placebos]
    quiet = np.flatnonzero(truth.exposed() & ~truth.degraded & ~truth.within(windows))
    folds = []
    for window in windows:
        rows = np.flatnonzero(truth.within([window]) & truth.exposed() & ~truth.degraded)
        if not len(rows) or not len(quiet):
            continue
        away = np.abs(truth.time_s[quiet] - (window.start_s + window.end_s) / 2)
        beside = np.sort(quiet[np.argsort(away, kind="stable")[: len(rows)]])
        labels = np.repeat([True, False], [len(rows), len(beside)])
        folds.append((_scaled(values[np.concatenate([rows, beside])], labels), labels))
    return folds


def _scaled(values: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)
    quiet = np.where(np.isnan(known[~labels]).all(axis=0), np.nanmedian(known, axis=0), known[~labels])
    centre = np.nanmedian(quiet, axis=0)
    filled = np.where(np.isnan(known), centre, known)
    spread = filled.std(axis=0)
    scaled: NDArray[np.float64] = np.clip((filled - centre) / np.where(spread > 0, spread, 1.0), -_CLIP, _CLIP)
    return scaled


def _fitted(folds: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.1, max_iter=2000)
    return model.fit(np.concatenate([rows for rows, _ in folds]), np.concatenate([labels for _, labels in folds]))
