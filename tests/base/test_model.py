"""The strict base of all settings."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from tasks.base.model import Name, Ratio, Seconds, Strict


class Section(Strict):
    """A section."""

    wait_s: Seconds = 1.0
    """How long to wait, in seconds;
    over two lines."""
    share: Ratio = 0.5
    count: Annotated[int, Field(ge=0)] = 0
    """How many."""
    name: Name = "a"
    """What it is called."""


class Deeper(Section):
    """A section with one setting more."""

    more: bool = False
    """One more."""


@pytest.mark.parametrize("value", [1, 1.5, 30 * 86_400])
def test_seconds_are_numbers(value):
    """Whole or not."""
    assert Section(wait_s=value).wait_s == value


@pytest.mark.parametrize(
    "values",
    [
        {"wait_s": "3"},
        {"wait_s": True},
        {"wait_s": 0},
        {"wait_s": -1},
        {"wait_s": float("nan")},
        {"wait_s": float("inf")},
        {"wait_s": 30 * 86_400 + 1},
        {"share": 1.01},
        {"share": "0.5"},
        {"count": 1.0},
        {"count": "1"},
        {"count": True},
        {"name": "A"},
        {"name": "-a"},
        {"name": ""},
        {"name": "a" * 64},
        {"name": "a\n"},
        {"name": "../a"},
        {"unknown": 1},
    ],
)
def test_anything_else_is_refused(values):
    """No text for numbers, no NaN, no unknown keys, no name that is not safe as a file name."""
    with pytest.raises(ValidationError):
        Section(**values)


def test_a_section_cannot_be_changed():
    """It is a value."""
    with pytest.raises(ValidationError, match="frozen"):
        Section().count = 3


def test_the_text_below_a_setting_is_its_description():
    """In the schema, those of the base included; a setting without one has none."""
    settings = Deeper.model_json_schema()["properties"]

    assert settings["wait_s"]["description"] == "How long to wait, in seconds;\nover two lines."
    assert settings["more"]["description"] == "One more."
    assert settings["count"]["description"] == "How many."
    assert "description" not in settings["share"]
