"""What a fault has left behind, looked for from outside."""

from __future__ import annotations

from collections.abc import Callable

from tasks.faults.injector import open_faults
from tasks.faults.processes import actuators_of
from tests.faults.small_shop import SmallShop, until


def healthy(shop: SmallShop, fault: str) -> bool:
    """Nothing of *fault* is left: no actuator, nothing stopped, quick right answers."""
    shop.reap()
    if actuators_of(shop.state_dir / "journal", fault) or "T" in shop.states("orders"):
        return False
    return all(status == 200 and seconds < 0.25 for status, seconds in (shop.get("orders", 1.0) for _ in range(3)))


def restarted(shop: SmallShop, fault: str) -> bool:
    """As :func:`healthy`, with the service started again when it is dead, as a supervisor would."""
    main = shop.services()["orders"].main
    if main is None or not main.alive():
        shop.reap()
        shop.start("orders")
        return False
    return healthy(shop, fault)


def closed(shop: SmallShop, fault: str) -> bool:
    """The journal knows that *fault* is over, or nothing of it."""
    return all(entry.id != fault for entry in open_faults(shop.state_dir))


def settled(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether *condition* comes true within *limit_s*."""
    try:
        until(condition, limit_s)
    except AssertionError:
        return False
    return True
