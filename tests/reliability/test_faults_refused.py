"""A revert that fails is never called one, a wrong target is never touched, and no name is ever run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.errors import FaultActiveError, PreflightError
from tasks.base.process import ProcessId, identify
from tasks.faults.injector import inject, revert_all
from tasks.faults.journal import Journal
from tasks.faults.preflight import FaultRequest
from tests.faults.looks import closed, healthy, settled
from tests.faults.small_shop import ROOT, SmallShop, free_port, until
from tests.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    """One shop for the whole file: a fault that is left behind spoils the next try."""
    shop = SmallShop.open(tmp_path_factory.mktemp("shop") / "state")
    yield shop
    shop.close()


STOPPER = """
import os, signal, sys, time
os.kill(int(sys.argv[1]), signal.SIGSTOP)
print("go", flush=True)
while True:
    os.kill(int(sys.argv[1]), signal.SIGSTOP)
    time.sleep(0.002)
"""


def test_a_revert_that_does_not_work_is_never_called_one(shop: SmallShop, ledger: Ledger):
    """Somebody keeps stopping the service: exit 5 with the command, no further fault, and a true end once he has gone."""
    fault = inject(shop, FaultRequest("row25-stop", "pause", "orders", 1.0, 60.0))
    main = shop.services()["orders"].main
    assert main is not None
    hostile = subprocess.Popen([sys.executable, "-c", STOPPER, str(main.pid)], stdout=subprocess.PIPE)
    try:
        assert hostile.stdout is not None
        assert hostile.stdout.readline() == b"go\n"
        with pytest.raises(FaultActiveError, match="THE FAULT MAY STILL BE ACTIVE") as told:
            fault.revert()
        with pytest.raises(FaultActiveError):
            inject(shop, FaultRequest("row25-next", "latency", "payment", 1.0, 1.0))
        # The guard goes on waking the service, so that it stands still at almost every look and not at each.
        stands_still = settled(lambda: "T" in shop.states("orders"), 10)
        honest = stands_still and not closed(shop, "row25-stop")
    finally:
        hostile.kill()
        hostile.communicate()
    revert_all(shop.state_dir)
    over = healthy(shop, "row25-stop") and closed(shop, "row25-stop")
    ledger.count(row=25, fault="service stopped again and again", survived=honest and over, figure="false reverted 0")
    assert told.value.exit_code == 5
    assert told.value.next_step is not None
    assert stands_still
    assert honest, "the journal calls a fault over that is not"
    assert over


def test_a_silent_proxy_is_not_taken_for_a_cleared_rule(shop: SmallShop, ledger: Ledger):
    """The proxy is stopped: whether the rule is gone is unknown, and said so; when it goes on, the rule is cleared."""
    fault = inject(shop, FaultRequest("row25-proxy", "http_errors", "orders", 1.0, 120.0))
    assert shop.proxy is not None
    shop.proxy.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(FaultActiveError, match="does not answer"):
            fault.revert()
        honest = not closed(shop, "row25-proxy")
    finally:
        shop.proxy.send_signal(signal.SIGCONT)
    revert_all(shop.state_dir)
    over = healthy(shop, "row25-proxy")
    ledger.count(row=25, fault="proxy does not answer", survived=honest and over, figure="false reverted 0")
    assert honest
    assert over


@pytest.mark.parametrize("kind", ["pause", "latency", "memory_leak"])
def test_a_service_or_proxy_that_was_replaced_is_reverted_too(shop: SmallShop, kind: str, ledger: Ledger):
    """The target dies (pid gone), is started again, the proxy is restarted: the revert is verified, strangers are left alone."""
    fault = inject(shop, FaultRequest(f"row25-gone-{kind.replace('_', '-')}", kind, "orders", 1.0, 60.0))
    main = shop.services()["orders"].main
    assert main is not None
    assert shop.proxy is not None
    main.signal(signal.SIGKILL)
    shop.proxy.kill()
    shop.proxy.wait()
    shop.proxy_socket.unlink(missing_ok=True)
    until(lambda: not main.alive())
    shop.reap()
    shop.start("orders")
    shop.start_proxy()
    receipt = fault.revert()
    until(lambda: shop.get("orders")[0] == 200)
    over = receipt.verified and healthy(shop, fault.request.id)
    ledger.count(row=25, fault="target and proxy replaced", survived=over, figure="false reverted 0")
    assert over


def test_a_target_that_is_not_ours_is_refused_before_the_first_write(shop: SmallShop, ledger: Ledger):
    """Unknown and entry services, strangers' pids and ports: a sentence, no record, no process."""
    known = dict(shop.services())
    orders = known["orders"]
    stranger = subprocess.Popen(["sleep", "60"])
    tampered = [
        known,
        known,
        {**known, "orders": orders.__class__("orders", ProcessId(1, 1), orders.port, orders.proxy_port)},
        {**known, "orders": orders.__class__("orders", None, orders.port, orders.proxy_port)},
        {**known, "orders": orders.__class__("orders", _identity(stranger.pid), orders.port, orders.proxy_port)},
        {**known, "orders": orders.__class__("orders", orders.main, orders.port, free_port())},
        {**known, "orders": orders.__class__("orders", orders.main, free_port(), orders.proxy_port)},
    ]
    targets = ["kube-system", "front-end", *["orders"] * 5]
    started, size = len(shop.children), Journal(shop.state_dir).size()
    try:
        for number, (services, target) in enumerate(zip(tampered, targets, strict=True)):
            shop._services = services
            kind = "latency" if number > 4 else "pause"
            refused = False
            try:
                inject(shop, FaultRequest(f"row26-{number}", kind, target, 1.0, 1.0)).revert()
            except PreflightError:
                refused = True
            untouched = (len(shop.children), Journal(shop.state_dir).size()) == (started, size)
            ledger.count(row=26, fault="target outside the deployment", survived=refused and untouched, figure="mutating calls 0")
            assert refused, f"case {number}"
            assert untouched, f"case {number}"
    finally:
        shop._services = known
        stranger.kill()
        stranger.wait()


def _identity(pid: int) -> ProcessId:
    found = identify(pid)
    assert found is not None
    return found


HOSTILE = (
    "; touch CANARY",
    "$(touch CANARY)",
    "`touch CANARY`",
    "| touch CANARY",
    "&& touch CANARY",
    "\n touch CANARY",
    "' ; touch CANARY '",
    "-c",
    "../x",
    "a b",
    "",
)


def test_metacharacters_never_run(tmp_path: Path, rng: random.Random, ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    """In ids, kinds and targets they are refused; in the name of a service that exists they stay text."""
    monkeypatch.chdir(tmp_path)
    names = ["front-end", "orders", "pay;touch CANARY", "$(touch CANARY)"]
    shop = SmallShop.open(tmp_path / "state", names)
    try:
        for number, text in enumerate(HOSTILE):
            for asked in (
                FaultRequest(text, "pause", "orders", 1.0, 0.5),
                FaultRequest(f"row41-{number}", text, "orders", 1.0, 0.5),
                FaultRequest(f"row41-{number}", "pause", "orders" + text, 1.0, 0.5) if text else FaultRequest("", "", "", 1.0, 0.5),
            ):
                refused = False
                try:
                    inject(shop, asked).revert()
                except PreflightError:
                    refused = True
                ledger.count(row=41, fault="metacharacters in a fault", survived=refused, figure="executed 0")
                assert refused, asked
        for number, name in enumerate(names[2:]):
            for kind in ("pause", "cpu_hog", "latency"):
                inject(shop, FaultRequest(f"row41-{kind.replace('_', '-')}-{number}", kind, name, 0.5, 0.4)).wait()
                clean = not list(tmp_path.rglob("CANARY")) and not (ROOT / "CANARY").exists()
                ledger.count(row=41, fault="metacharacters in a service's name", survived=clean, figure="executed 0")
                assert clean
    finally:
        shop.close()
