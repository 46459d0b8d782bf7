# ruff: noqa: D102 -- the clock below does what its protocol says
"""
No fault outlives its stated end, whoever is killed, and whenever.

Judged by the process table and the proxy's answers; the journal is only asked what it promises the next start.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.clock import SystemClock
from tasks.base.process import ProcessId
from tasks.faults.catalogue import KINDS
from tasks.faults.injector import inject, revert_all
from tasks.faults.journal import Journal
from tasks.faults.preflight import FaultRequest
from tasks.faults.processes import actuators_of
from tests.faults.looks import closed, restarted, settled
from tests.faults.small_shop import ROOT, SmallShop, until
from tests.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DURATION_S = 1.5
PROMISE_S = DURATION_S + 10
RUNNER = """
import sys
from pathlib import Path
from tasks.faults.injector import inject
from tasks.faults.preflight import FaultRequest
from tests.faults.small_shop import SmallShop
shop = SmallShop.attach(Path(sys.argv[1]))
print("go", flush=True)
inject(shop, FaultRequest(sys.argv[2], sys.argv[3], "orders", 1.0, float(sys.argv[4]))).wait()
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    """One shop for the whole file: a fault that is left behind spoils the next try."""
    shop = SmallShop.open(tmp_path_factory.mktemp("shop") / "state")
    yield shop
    shop.close()


def runner(shop: SmallShop, fault: str, kind: str) -> subprocess.Popen[bytes]:
    """A process of its own that injects and waits, past its imports."""
    argv = [sys.executable, "-c", RUNNER, str(shop.save()), fault, kind, str(DURATION_S)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    return process


def seconds_until_over(shop: SmallShop, fault: str, start: float) -> float | None:
    """Seconds from *start* to the last moment at which anything of the fault was seen; None: beyond the promise."""
    calm_since: float | None = None
    while time.monotonic() - start < PROMISE_S + 5:
        if restarted(shop, fault):
            calm_since = calm_since or time.monotonic()
            if time.monotonic() - max(calm_since, start + DURATION_S) > 0.5:
                return calm_since - start
        else:
            calm_since = None
        time.sleep(0.03)
    return None


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_ends_though_its_runner_is_killed(shop: SmallShop, kind: str, rng: random.Random, ledger: Ledger):
    """SIGKILL of the injecting process at any moment: over within duration + 10 s, and the journal says so."""
    slowest = 0.0
    for attempt in range(2):
        fault = f"row23-{kind.replace('_', '-')}-{attempt}"
        process = runner(shop, fault, kind)
        start = time.monotonic()
        if attempt:  # once it is under way, and once at any moment from the first line on
            assert settled(lambda fault=fault: acting(shop, fault), 12), "the fault never began"
        time.sleep(rng.choice((rng.uniform(0, 0.5), rng.uniform(0, DURATION_S + 0.5))))
        process.kill()
        process.communicate()
        took = seconds_until_over(shop, fault, start)
        over = took is not None and took <= PROMISE_S
        told = settled(lambda fault=fault: closed(shop, fault), 16) if guarded(shop, fault) else reported(shop, fault)
        slowest = max(slowest, took or 999.0)
        ledger.count(
            row=23, fault="runner killed -9", survived=over and told, figure=f"slowest {slowest:.1f} s for a fault of {DURATION_S} s"
        )
        assert over, f"{kind}: {took} s"
        assert told


def acting(shop: SmallShop, fault: str) -> bool:
    """Whether *fault* was allowed to act."""
    entry = Journal(shop.state_dir).entry(fault)
    return entry is not None and entry.acted


def guarded(shop: SmallShop, fault: str) -> bool:
    """Whether a guard was there before the runner died."""
    entry = Journal(shop.state_dir).entry(fault)
    return entry is not None and entry.guard is not None


def reported(shop: SmallShop, fault: str) -> bool:
    """Killed before there was a guard: nothing may have acted, and the next start says so and closes it."""
    entry = Journal(shop.state_dir).entry(fault)
    told = entry is None or (not entry.acted and not closed(shop, fault))
    revert_all(shop.state_dir)
    return told and closed(shop, fault)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_ends_though_everything_of_it_is_killed_in_any_order(shop: SmallShop, kind: str, rng: random.Random, ledger: Ledger):
    """SIGKILL of runner, guard and actuator in a drawn order within milliseconds, and the emergency stop closes the journal."""
    for attempt in range(3):
        fault = f"row23-all-{kind.replace('_', '-')}-{attempt}"
        process = runner(shop, fault, kind)
        start = time.monotonic()
        assert settled(lambda fault=fault: acting(shop, fault), 12), "the fault never began"
        time.sleep(rng.uniform(0, 1.0))
        entry = Journal(shop.state_dir).entry(fault)
        assert entry is not None
        victims = [ProcessId(process.pid, -1), entry.guard, *actuators_of(shop.state_dir / "journal", fault)]
        rng.shuffle(victims)
        for victim in victims:
            if victim is not None:
                process.kill() if victim.pid == process.pid else victim.signal(signal.SIGKILL)
            time.sleep(rng.choice((0.0, rng.uniform(0, 0.03))))
        process.communicate()
        took = seconds_until_over(shop, fault, start)
        over = took is not None and took <= PROMISE_S
        revert_all(shop.state_dir)
        ledger.count(row=23, fault="runner, guard and actuator killed -9", survived=over and closed(shop, fault))
        assert over, f"{kind}: {took} s"


def test_the_label_is_right_though_the_guard_slept(shop: SmallShop, ledger: Ledger):
    """The guard is stopped past the end of the fault: the service goes on in time, and the label says when that was."""
    fault = inject(shop, FaultRequest("row31-guard", "pause", "orders", 1.0, 1.5))
    guard = fault.entry().guard
    assert guard is not None
    guard.signal(signal.SIGSTOP)
    try:
        until(lambda: "T" not in shop.states("orders"), 4)
        seen_s = time.time()
        time.sleep(2.0)
    finally:
        guard.signal(signal.SIGCONT)
    receipt = fault.wait()
    assert receipt.reverted is not None
    error_s = abs(receipt.reverted - seen_s)
    ledger.count(row=31, fault="guard stopped past the end", survived=error_s < 0.3, figure=f"label error {error_s:.2f} s")
    assert error_s < 0.3


class Sleepy(SystemClock):
    """A clock whose machine is suspended: at the third wait wall time jumps by an hour and monotonic time does not."""

    __slots__ = ("jumped_s", "waits")

    def __init__(self) -> None:
        object.__setattr__(self, "jumped_s", 0.0)
        object.__setattr__(self, "waits", 0)

    def wall_s(self) -> float:
        return time.time() + self.jumped_s

    def sleep(self, seconds: float) -> None:
        object.__setattr__(self, "waits", self.waits + 1)
        if self.waits == 3:
            object.__setattr__(self, "jumped_s", 3600.0)
        time.sleep(seconds)


def test_a_fault_that_expired_while_the_machine_slept_is_labelled_right(tmp_path: Path, ledger: Ledger):
    """Over at once on waking; the label says the stated end, not the hour of waking."""
    from tasks.faults.guard import Guard
    from tasks.faults.journal import boot_id

    clock, journal = Sleepy(), Journal(tmp_path)
    facts = {"kind": "latency", "target": "orders", "intensity": 1.0, "placebo": False, "duration_s": 30.0, "boot": boot_id()}
    limit = {"until_mono_s": clock.monotonic_s() + 30, "until_wall_s": clock.wall_s() + 30}
    journal.append("row31", "planned", clock, **facts, leader=None, signature=None, rule={"delay_ms": 500}, **limit)
    journal.append("row31", "acting", clock, **limit)
    start = time.monotonic()
    status = Guard(journal, "row31", clock).run()

    entry = journal.entry("row31")
    assert entry is not None
    reverted = entry.wall_s("reverted")
    assert reverted is not None
    error_s = abs(reverted - limit["until_wall_s"])
    ok = status == 0 and error_s < 0.1 and time.monotonic() - start < 5
    ledger.count(row=31, fault="machine suspended for an hour", survived=ok, figure=f"label error {error_s:.2f} s")
    assert ok
