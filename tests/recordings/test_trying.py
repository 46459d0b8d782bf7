"""One fault after the other, on processes that are really stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.base.clock import SystemClock
from tasks.faults.injecting import LocalInjector
from tasks.faults.schedule import PlannedTrial
from tasks.recordings.trying import Trying
from tests.faults.small_shop import SmallShop


@pytest.fixture
def shop(tmp_path) -> Iterator[SmallShop]:
    """A running small shop."""
    shop = SmallShop.open(tmp_path / "state")
    yield shop
    shop.close()


def test_after_a_fault_that_is_not_seen_back_to_normal_nothing_is_tried(shop):
    """No row ever says that it is calm: the first fault is reverted and kept, the others are named as not tried."""
    clock = SystemClock()
    plan = [PlannedTrial(f"t{n:03d}", "pause", "orders", 1.0, False, 0.4, 0.2, 0.5 + n) for n in (1, 2, 3)]
    trying = Trying(
        LocalInjector(shop, clock), clock, lambda _, __: None, lambda: None, lambda _: None, grace_s=1.0, lag_s=1.0, settle_limit_s=0.3
    )

    trying.walk(plan, clock.monotonic_s(), retry=True)

    assert [one.id for one in trying.done] == ["t001"]
    assert trying.done[0].windows.reverted is not None
    assert "not back to normal 0.3 s after its quiet time" in trying.done[0].note
    assert trying.untried.startswith("t002, t003 not tried: t001 (pause on orders)")
    assert "T" not in shop.states("orders")
