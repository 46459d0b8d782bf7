"""A town on the fake API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kube.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An entry and one target, and everything that lives around them."""
    with Town.running(tmp_path) as made:
        yield made
