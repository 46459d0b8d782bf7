"""Every detector keeps the promises of the interface."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tasks.detectors.config import KMeans, RobustZ
from tasks.detectors.contract import check, scene
from tasks.detectors.registry import NAMES, make


@pytest.mark.parametrize("name", NAMES)
def test_detector_keeps_every_promise(name):
    """No promise is broken, whichever detector."""
    broken = [one for one in check(make(name, profile="short")) if not one.ok]

    assert broken == []


@pytest.mark.parametrize("item", [KMeans(window_s=30, clusters=3), RobustZ(top=5)], ids=lambda item: item.name)
def test_settings_other_than_the_defaults_keep_the_promises(item):
    """A long window and a mean of the top five are as good as the defaults."""
    broken = [one for one in check(make(item, profile="long", grid_s=2.0)) if not one.ok]

    assert broken == []


@dataclass(frozen=True)
class Cheat:
    """A detector with one fault."""

    fault: str
    name: str = "robust_z"
    family: str = "cheat"

    def fit(self, normal, /, *, resolution, seed):
        """Fit the honest one."""
        honest = make("robust_z").fit(normal, resolution=resolution, seed=seed)
        return Cheating(honest, self.fault)


@dataclass(frozen=True)
class Cheating:
    """Robust z, spoilt."""

    honest: object
    fault: str
    name: str = "robust_z"

    def score(self, rows, /):
        """Spoil the honest scores."""
        scores = self.honest.score(rows)
        if self.fault == "future" and scores.size:
            return scores / scores.max()
        if self.fault == "nan":
            return np.where(scores > 10, np.nan, scores)
        if self.fault == "lower":
            return -scores
        if self.fault == "random":
            return scores + np.random.default_rng().random(scores.size)
        if self.fault == "input":
            rows += 1
        return scores

    def contributions(self, rows, /):
        """Those of the honest one."""
        return self.honest.contributions(rows)

    def parts(self):
        """Those of the honest one, or other settings."""
        parts = self.honest.parts()
        return replace(parts, settings={"top": 2}) if self.fault == "file" else parts


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        ("future", "past only"),
        ("nan", "finite"),
        ("lower", "higher is worse"),
        ("random", "deterministic"),
        ("input", "input untouched"),
        ("file", "saved and loaded"),
    ],
)
def test_a_broken_detector_is_told_which_promise_it_breaks(fault, promise):
    """The suite can fail: each spoilt detector breaks the promise it should."""
    broken = {one.name for one in check(Cheat(fault)) if not one.ok}

    assert promise in broken


def test_the_scene_has_what_the_checks_need():
    """A constant column, and a break at the end only."""
    data = scene()

    assert data.normal[:, 4].std() == 0
    assert (data.broken[:-10] == data.quiet[:-10]).all()
    assert (data.broken[-10:] != data.quiet[-10:]).all()
