"""The shop that faults are tried on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.small_shop import SmallShop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    """A running small shop; everything it started is ended afterwards."""
    shop = SmallShop.open(tmp_path_factory.mktemp("shop") / "state")
    yield shop
    shop.close()
