"""Deployments that never outlive their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.cluster.local import take_down


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for one deployment, which is taken down in the end."""
    folder = tmp_path / "state"
    yield folder
    left = take_down(folder)
    assert left == ()
    log = folder / "supervisor.log"
    assert not log.exists() or "Traceback" not in log.read_text(), log.read_text()
