"""Can placebos be told from quiet time?"""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.leakage import leakage
from tests.evaluation.recording import trial, truth


@pytest.fixture
def placebos():
    """Six placebos and a real fault."""
    return truth(*(trial(f"p{i}", 60 + 60 * i, placebo=True) for i in range(6)), trial("a", 20), rows=450)


def _values(rng: np.random.Generator) -> np.ndarray:
    """Twenty columns, one of them drifting."""
    values = rng.normal(size=(450, 20))
    values[:, 3] += np.linspace(0, 20, 450)
    return values


COLUMNS = [f"orders/m{i}" for i in range(20)]


def test_honest_placebos_look_like_quiet_time(placebos):
    """The area is near one half, drift or not."""
    areas = [leakage(_values(np.random.default_rng(seed)), COLUMNS, placebos).auc for seed in range(3)]

    assert np.mean(areas) == pytest.approx(0.5, abs=0.12)


def test_a_trace_of_the_harness_is_found(placebos):
    """One process more during a placebo gives it away, and the column is named."""
    values = _values(np.random.default_rng(1))
    values[:, 7] = 12.0
    values[placebos.within([placebos.detection_window(p) for p in placebos.placebos]), 7] = 13.0

    found = leakage(values, COLUMNS, placebos)

    assert found.auc > 0.9
    assert "orders/m7" in found.columns
    assert found.placebos == 6


def test_a_single_placebo_is_not_enough():
    """Nothing can be learnt from one and tried on another."""
    found = leakage(np.zeros((300, 1)), ["a/b"], truth(trial("p", 100, placebo=True)))

    assert (found.auc, found.placebos) == (None, 1)


def test_missing_cells_say_nothing(placebos):
    """NaN is taken as the quiet level; a column without any cell as well."""
    values = _values(np.random.default_rng(2))
    values[::3, 5] = np.nan
    values[:, 6] = np.nan

    assert leakage(values, COLUMNS, placebos).auc == pytest.approx(0.5, abs=0.2)
