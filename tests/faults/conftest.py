"""The shop that faults are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.small_shop import SmallShop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SmallShop]:
    """A running small shop; everything it started is ended afterwards."""
    shop = SmallShop.open(tmp_path / "state")
    yield shop
    shop.close()
