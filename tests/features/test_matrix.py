"""Saving and loading the matrix."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.base.errors import StorageError
from tasks.features import matrix as matrices


@pytest.fixture
def built(tape):
    tape.add("up", {t: 1.0 for t in range(20) if t != 7})
    tape.add("request_duration_seconds_count", {t: float(min(t, 9)) for t in range(20)}, status_code="200")
    return tape.build(until=19)


def test_comes_back_as_it_was(built, tmp_path):
    """Values to the bit, masks, columns and counts."""
    matrices.save(built, tmp_path / "m")

    again = matrices.load(tmp_path / "m")

    assert again.columns == built.columns
    assert again.step_s == built.step_s
    assert built.undefined.any()
    for name in ("time_s", "values", "valid", "undefined", "interval_s", "resets"):
        assert np.array_equal(getattr(again, name), getattr(built, name), equal_nan=name == "values"), name
    assert again.values.dtype == np.float32


def test_empty_matrix_comes_back(tape, tmp_path):
    """No column at all is a matrix too."""
    matrices.save(tape.build(until=3), tmp_path)

    assert matrices.load(tmp_path).values.shape == (4, 0)


@pytest.mark.parametrize("change", ["format", "column", "missing"])
def test_what_does_not_fit_is_refused(built, tmp_path, change):
    """Another format, a column that is not in the table, a file that is gone."""
    matrices.save(built, tmp_path)
    head = json.loads((tmp_path / "columns.json").read_text())
    if change == "format":
        head["format"] = "matrix/9"
    elif change == "column":
        head["columns"][0]["name"] = "other/up"
    else:
        (tmp_path / "matrix.parquet").unlink()
    (tmp_path / "columns.json").write_text(json.dumps(head))

    with pytest.raises(StorageError):
        matrices.load(tmp_path)


def test_unknown_column_is_a_key_error(built):
    """The name is in the error."""
    with pytest.raises(KeyError, match="carts/up"):
        built.column("carts/up")
