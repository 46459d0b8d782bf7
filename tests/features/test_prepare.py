"""Imputation by one rule."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.base.errors import PreflightError
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Column, Matrix
from tasks.features.prepare import Filling, learn, prepare

NAN = np.nan
SETTINGS = FeaturesConfig()


def matrix(*columns, undefined=None, interval_s=1.0, floor=(0.5, 0.0)):
    values = np.array(columns, dtype=np.float32).T
    named = tuple(Column(f"s/m{place}", "s", f"m{place}", "", *floor) for place in range(values.shape[1]))
    holes = np.zeros(values.shape, dtype=bool) if undefined is None else np.array(undefined, dtype=bool).T
    rows = np.arange(values.shape[0], dtype=float)
    return Matrix(rows, named, values, ~np.isnan(values), holes, 1.0, np.full(len(named), interval_s), np.zeros(len(named), dtype=np.int64))


def test_two_scrapes_are_carried_then_the_training_median():
    """5 is carried twice, and is 2, the median of training, after that."""
    filling = learn([matrix([1, 2, 3])])

    prepared = prepare(matrix([NAN, 5, NAN, NAN, NAN, 7]), filling, SETTINGS)

    assert prepared.rows[:, 0].tolist() == [2, 5, 5, 5, 2, 7]
    assert prepared.mask[:, 0].tolist() == [True, False, True, True, True, False]
    assert prepared.rows.dtype == np.float32


def test_two_scrapes_of_a_slow_series_are_more_rows():
    """Scraped every three rows, two scrapes are six rows."""
    filling = learn([matrix([1, 2, 3])])

    prepared = prepare(matrix([5] + [NAN] * 8, interval_s=3.0), filling, SETTINGS)

    assert prepared.rows[:, 0].tolist() == [5] * 7 + [2] * 2


def test_rows_with_too_many_gaps_are_not_scored():
    """One of five cells is a fifth, which is still allowed; two are not."""
    columns = [[1, 1, 1]] * 3 + [[1, NAN, NAN], [1, 1, NAN]]
    filling = learn([matrix(*[[1, 1]] * 5)])

    assert prepare(matrix(*columns), filling, SETTINGS).scored.tolist() == [True, True, False]


def test_undefined_cells_are_filled_but_are_no_gaps():
    """A shop that answers nobody has no latency; its rows are judged all the same."""
    filling = learn([matrix(*[[1, 1]] * 3)])
    silent = matrix([1, NAN], [1, NAN], [1, 1], undefined=[[0, 1], [0, 1], [0, 0]])

    prepared = prepare(silent, filling, SETTINGS)

    assert prepared.scored.tolist() == [True, True]
    assert prepared.mask[1].tolist() == [True, True, False]
    assert np.isfinite(prepared.rows).all()


def test_column_that_training_never_saw_is_a_constant_everywhere():
    """What normal is there is unknown, so it neither scores nor masks."""
    filling = learn([matrix([1, 1, 1], [NAN, NAN, NAN])])

    prepared = prepare(matrix([1, 1], [7, NAN]), filling, SETTINGS)

    assert filling.usable.tolist() == [True, False]
    assert prepared.rows[:, 1].tolist() == [0, 0]
    assert prepared.scored.all()


def test_resolution_is_the_larger_of_two_floors():
    """Half a unit, or a tenth of the median."""
    assert learn([matrix([1, 2, 3], floor=(0.5, 0.1))]).resolution.tolist() == [0.5]
    assert learn([matrix([-100, -200, -300], floor=(0.5, 0.1))]).resolution.tolist() == pytest.approx([20])


def test_only_kept_rows_are_learned_from():
    """Degraded seconds leave training."""
    filling = learn([matrix([1, 1, 50, 60]), matrix([3])], [np.array([True, True, False, False]), np.array([True])])

    assert filling.median.tolist() == [1]


def test_no_row_is_refused():
    """Nothing can be learned from nothing."""
    with pytest.raises(PreflightError):
        learn([matrix([1, 2])], [np.array([False, False])])


def test_other_columns_are_refused():
    """A matrix of another app is not filled with this one's medians."""
    with pytest.raises(ValueError, match="columns"):
        prepare(matrix([1], [2]), learn([matrix([1])]), SETTINGS)


def test_filling_survives_json():
    """What was learned is kept beside the models."""
    filling = learn([matrix([1, 2, 3], [NAN] * 3)])

    again = Filling.from_json(filling.to_json())

    for name in ("median", "resolution", "usable"):
        assert (getattr(again, name) == getattr(filling, name)).all()
    assert again.names == filling.names
