"""The schema of documents: committed, described, and the same as the code."""

from __future__ import annotations

import json

import pytest

from flows.cli import main
from flows.document import Experiment
from tasks.base.shipped import shipped


def objects(schema):
    """The schema itself and each section's, by name."""
    yield "experiment", schema
    yield from schema["$defs"].items()


def test_the_committed_schema_is_that_of_the_code():
    """``tidegauge schema > configs/experiment.schema.json`` would change nothing."""
    assert json.loads(shipped("experiment.schema.json").read_text()) == Experiment.model_json_schema()


def test_the_command_prints_the_schema(capsys):
    """With and without ``--json`` it is one JSON object."""
    for argv in (["schema"], ["schema", "--json"]):
        assert main(argv) == 0
        assert json.loads(capsys.readouterr().out) == Experiment.model_json_schema()


@pytest.mark.parametrize(("name", "schema"), [pytest.param(*one, id=one[0]) for one in objects(Experiment.model_json_schema())])
def test_every_setting_is_described_and_no_other_is_allowed(name, schema):
    """An editor can say what each setting means, and underline what does not exist."""
    if schema.get("type") != "object":
        return

    assert schema["additionalProperties"] is False
    assert schema["description"]
    undescribed = [setting for setting, one in schema["properties"].items() if not one.get("description")]
    assert undescribed == []


@pytest.mark.parametrize("suffix", ["_s", "_bytes", "_ratio"])
def test_a_unit_in_a_name_is_told_in_words_too(suffix):
    """Seconds are numbers, bytes are whole numbers, ratios end at 1."""
    found = [
        (name, one)
        for _, schema in objects(Experiment.model_json_schema())
        for name, one in schema.get("properties", {}).items()
        if name.endswith(suffix)
    ]
    assert found
    for name, one in found:
        kinds = {option.get("type") for option in one.get("anyOf", [one])} - {"null"}
        expected = {"_s": {"number", "array"}, "_bytes": {"integer"}, "_ratio": {"number"}}[suffix]
        assert kinds <= expected, name
