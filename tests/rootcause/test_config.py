"""The section `ranking` of the document."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tasks.rootcause.config import RankingConfig


def test_profiles_set_the_lengths():
    """Short: 15 s before, 8 s after; what is written wins."""
    short = RankingConfig(profile="short")

    assert (short.reference_length_s, short.effect_length_s) == (15, 8)
    assert RankingConfig.model_validate({"effect_s": 60, "methods": ["robust"]}).effect_length_s == 60


@pytest.mark.parametrize("wrong", [{"methods": ["oracle"]}, {"methods": []}, {"effect_s": 0}, {"onset": "own"}])
def test_mistakes_are_refused(wrong):
    """Unknown methods and settings, empty lists."""
    with pytest.raises(ValidationError):
        RankingConfig.model_validate(wrong)
