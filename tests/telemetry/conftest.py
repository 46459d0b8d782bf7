"""What the telemetry tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.telemetry.chunks import ChunkWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a recording goes."""
    return tmp_path / "recording"


@pytest.fixture
def writer(folder: Path) -> Iterator[ChunkWriter]:
    """An open writer on an empty folder."""
    opened = ChunkWriter(folder)
    yield opened
    opened.close()
