"""Documents for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = """\
version: 1
name: small
seed: 5
cluster: {provider: local}
app: {kind: demo-shop}
load:
  users: {shape: constant, users: 4}
  journeys_per_user_per_s: 0.5
recordings:
  - {name: training, role: training, duration_s: 30}
  - {name: calibration, role: calibration, duration_s: 20}
  - {name: faults, role: faults}
faults:
  before_s: 30
  duration_s: 8
  quiet_s: [15, 19]
  placebos: 1
  trials:
    - {kind: pause, target: catalogue, intensity: 1.0}
    - {kind: latency, target: carts, intensity: 0.5}
features: {profile: short, grid_s: 1, rate_window_s: 5}
detectors: [robust_z, pca_spe]
evaluation: {profile: short, false_alarms_per_day: 24}
ranking: {profile: short}
"""

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes the small document, with each (old, new) replaced, and gives its path."""

    def write(*changes: tuple[str, str]) -> Path:
        text = SMALL
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "small.yaml"
        path.write_text(text)
        return path

    return write
