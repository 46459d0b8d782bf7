"""A fault is in effect on return, is over at its end, and the next one may start; judged by the processes and the proxy."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessId
from tasks.faults.catalogue import KINDS
from tasks.faults.injector import inject, open_faults, revert_all
from tasks.faults.journal import Journal
from tasks.faults.preflight import FaultRequest
from tasks.faults.processes import actuators_of, used_bytes
from tests.faults.small_shop import SmallShop, until

NUMBERS = count(1)


def request(kind: str, *, seconds: float = 1.0, target: str = "orders", placebo: bool = False) -> FaultRequest:
    """A full-strength fault with an id of its own."""
    return FaultRequest(f"t{next(NUMBERS):03d}", kind, target, 1.0, seconds, placebo)


def effect(shop: SmallShop, fault: str, kind: str) -> bool:
    """Whether *kind* shows on orders, seen from outside."""
    if kind in ("cpu_squeeze", "pause"):
        return "T" in shop.states("orders")
    if kind == "latency":
        return shop.get("orders")[1] > 0.4
    if kind == "http_errors":
        return shop.get("orders")[0] == 500
    if kind == "crash":
        return shop.get("orders")[0] == 502
    actuators = actuators_of(shop.state_dir / "journal", fault)
    if kind == "cpu_hog":
        return cpu_ticks(actuators) > 20
    return used_bytes(actuators) > 60 << 20


def cpu_ticks(processes: tuple[ProcessId, ...]) -> int:
    """User and system time of *processes*, in hundredths of a second."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_is_active_and_then_over(shop: SmallShop, kind: str):
    """Each kind shows its effect while it lasts, and no trace of it is left after the receipt."""
    fault = inject(shop, asked := request(kind))
    until(lambda: effect(shop, asked.id, kind), 4)
    receipt = fault.wait()

    assert receipt.verified
    assert receipt.acknowledged is not None
    assert receipt.reverted is not None
    assert 0.6 < receipt.reverted - receipt.acknowledged < 2
    assert not open_faults(shop.state_dir)
    if kind == "crash":
        shop.start("orders")
    until(lambda: shop.get("orders")[0] == 200)
    assert shop.get("orders")[1] < 0.3
    assert "T" not in shop.states("orders")
    assert actuators_of(shop.state_dir / "journal", asked.id) == ()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_placebo_walks_the_whole_way_without_effect(shop: SmallShop, kind: str):
    """Journal, guard and revert are the same; the target is neither stopped, slow, failing, killed nor grown."""
    fault = inject(shop, asked := request(kind, seconds=0.8, placebo=True))
    seen, folder = [], shop.state_dir / "journal"
    while not fault.entry().over(fault.clock):
        seen.append(shop.get("orders"))
        assert "T" not in shop.states("orders")
        assert used_bytes(actuators_of(folder, asked.id)) < 30 << 20
        assert cpu_ticks(actuators_of(folder, asked.id)) < 30
    receipt = fault.wait()

    assert receipt.verified
    assert {status for status, _ in seen} == {200}
    assert sorted(seconds for _, seconds in seen)[len(seen) // 2] < 0.2
    events = Journal(shop.state_dir).read().entries[asked.id].events
    assert {"planned", "armed", "acting", "acknowledged", "revert_requested", "reverted", "verified"} <= set(events)


def test_reverting_early_ends_it_at_once(shop: SmallShop):
    """A long pause is over within a moment of being asked."""
    fault = inject(shop, request("pause", seconds=600))
    assert shop.states("orders") == {"T"}
    receipt = fault.revert()

    assert receipt.verified
    assert "T" not in shop.states("orders")
    assert receipt.note == "it was asked to"


def test_the_emergency_stop_needs_no_runner(shop: SmallShop):
    """What the journal names is ended from the state folder alone."""
    inject(shop, asked := request("latency", seconds=600))
    assert shop.get("orders")[1] > 0.4
    ended = revert_all(shop.state_dir)

    assert [entry.id for entry in ended] == [asked.id]
    assert shop.get("orders")[1] < 0.3
    assert revert_all(shop.state_dir) == ()


def test_one_fault_at_a_time(shop: SmallShop):
    """A second fault is refused while the first is active, and an id is never used twice."""
    first = inject(shop, request("latency", seconds=600))
    with pytest.raises(PreflightError, match="active on orders"):
        inject(shop, request("pause", target="payment"))
    first.revert()
    with pytest.raises(PreflightError, match="used once"):
        inject(shop, first.request)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (FaultRequest("w01", "pause", "ordrs", 1.0, 1.0), "no service 'ordrs' here; did you mean orders?"),
        (FaultRequest("w01", "pause", "front-end", 1.0, 1.0), "entry service"),
        (FaultRequest("w01", "paus", "orders", 1.0, 1.0), "did you mean pause?"),
        (FaultRequest("w01", "pause", "orders", 0.0, 1.0), "intensity"),
        (FaultRequest("w01", "pause", "orders", float("nan"), 1.0), "intensity"),
        (FaultRequest("w01", "pause", "orders", 1.0, float("inf")), "duration"),
        (FaultRequest("../t01", "pause", "orders", 1.0, 1.0), "not a fault id"),
    ],
)
def test_a_wrong_target_is_refused_before_the_first_write(shop: SmallShop, asked: FaultRequest, sentence: str):
    """Refused with a sentence; nothing was written."""
    before = Journal(shop.state_dir).size()
    with pytest.raises(PreflightError, match=sentence.replace("?", r"\?")):
        inject(shop, asked)

    assert Journal(shop.state_dir).size() == before


def test_a_pid_that_was_given_away_is_refused(shop: SmallShop, monkeypatch: pytest.MonkeyPatch):
    """A main process with another start time, or one that does not lead the group, is not the deployment's."""
    orders, before = shop.services()["orders"], Journal(shop.state_dir).size()
    assert orders.main is not None
    for stranger in (ProcessId(orders.main.pid, orders.main.start_ticks + 1), ProcessId(1, 1), None):
        monkeypatch.setitem(shop._services, "orders", replace(orders, main=stranger))
        with pytest.raises(PreflightError):
            inject(shop, request("pause"))
    assert Journal(shop.state_dir).size() == before
