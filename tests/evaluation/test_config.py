"""The section `evaluation` of the document."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tasks.evaluation.config import EvaluationConfig, grace_s


def test_profiles_set_the_lengths():
    """Short and long; what is written in the document wins."""
    short, long = EvaluationConfig(profile="short"), EvaluationConfig()

    assert (short.block_length_s, short.buffer_s) == (10, 8)
    assert (long.block_length_s, long.buffer_s) == (60, 60)
    assert EvaluationConfig(profile="short", block_s=30, vus_buffer_s=5).block_length_s == 30


def test_yaml_values_are_taken():
    """Whole numbers for ratios and rates, lists for pairs."""
    found = EvaluationConfig.model_validate(
        {"false_alarms_per_day": 24, "persistence": [3, 5], "require": {"detector": "ewma", "recall": 1, "false_alarms_per_day": 0}}
    )

    assert found.persistence_s(2.0) == 10.0
    assert found.require is not None
    assert found.require.recall == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"persistence": [4, 3]},
        {"persistence": ["2", "3"]},
        {"persistence": [2]},
        {"false_alarms_per_day": 0},
        {"false_alarms_per_day": "24"},
        {"close_after": 0},
        {"also_events": ["impact"]},
        {"threshold": 3},
    ],
)
def test_mistakes_are_refused(wrong):
    """Impossible rules, text for numbers, unknown settings (no threshold can be set by hand)."""
    with pytest.raises(ValidationError):
        EvaluationConfig.model_validate(wrong)


def test_grace_is_the_rate_window_and_two_steps():
    """How long a fault may still show after its revert."""
    assert grace_s(rate_window_s=5, step_s=1) == 7
