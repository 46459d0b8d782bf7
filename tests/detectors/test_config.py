"""The section ``detectors``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.detectors.config import DEFAULT, DetectorsConfig, RobustZ
from tasks.detectors.registry import FLOORS, NAMES

ADAPTER = TypeAdapter(DetectorsConfig)


def test_names_and_settings_mix():
    """A list item is a bare name or settings with a name."""
    read = ADAPTER.validate_python(["ewma", {"name": "robust_z", "top": 5}])

    assert [item.name for item in read] == ["ewma", "robust_z"]
    assert read[1] == RobustZ(top=5)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (["robust_z", {"name": "robust_z", "top": 5}], "listed twice: robust_z"),
        (["robustz"], "robustz"),
        ([{"name": "robust_z", "topp": 5}], "topp"),
        ([{"name": "robust_z", "top": 0}], "greater than or equal to 1"),
        ([{"name": "ocsvm", "nu": 1.5}], "less than or equal to 1"),
        ([{"name": "kmeans", "window_s": float("nan")}], "finite"),
        ([], "at least 1"),
        ("robust_z", "tuple"),
    ],
)
def test_mistakes_are_named(value, what):
    """Each mistake is refused with its reason."""
    with pytest.raises(ValidationError, match=what):
        ADAPTER.validate_python(value)


def test_whole_numbers_are_taken_for_ratios_and_seconds():
    """A document that says 8 means 8.0."""
    (read,) = ADAPTER.validate_python([{"name": "kmeans", "window_s": 8}])

    assert read.window_s == 8.0


def test_schema_knows_bare_names():
    """An editor offers names as well as objects."""
    assert "robust_z" in str(ADAPTER.json_schema(mode="validation")["items"])


def test_default_is_everything_but_the_floors():
    """Floors are in every table without being listed."""
    assert tuple(item.name for item in DEFAULT) == tuple(name for name in NAMES if name not in FLOORS)


def test_listing_and_configuring_import_no_scikit_learn():
    """``check`` and ``detectors list`` answer at once."""
    code = (
        "import sys, tasks.detectors.config, tasks.features.config; import tasks.detectors.registry as r; r.descriptions(); r.make('robust_z');"
        "sys.exit('sklearn' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
