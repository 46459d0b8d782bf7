"""A fault injected by hand into a shop that stays up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tasks.base.clock import SystemClock
from tasks.faults.injector import open_faults
from tests.faults.small_shop import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def tidegauge(store, *argv):
    """A command on *store*, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tidegauge", *argv, "--store", str(store)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def shop(tmp_path):
    """A store with one shop up; taken down afterwards."""
    up = tidegauge(tmp_path, "up", "configs/quick.yaml", "--ttl", "240", "--json")
    assert up.returncode == 0, up.stderr
    yield tmp_path
    down = tidegauge(tmp_path, "down", "--all")
    assert down.returncode == 0, down.stderr


def test_a_signal_while_it_is_waited_for_reverts_it(shop, ledger):
    """Row 24 by hand: SIGINT, SIGTERM and SIGHUP each end the fault before the command exits, and it says so."""
    (live,) = (shop / "live").glob("shop-*")
    argv = [
        sys.executable,
        "-m",
        "tidegauge",
        "faults",
        "inject",
        "pause",
        "--target",
        "orders",
        "--duration_s",
        "60",
        "--store",
        str(shop),
    ]
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        tried = ledger.begin(row=24, fault=f"{signum.name} during a fault by hand")
        command = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: any("acknowledged" in entry.events for entry in open_faults(live)), 20)
        asked_s = time.monotonic()
        command.send_signal(signum)
        _, said = command.communicate(timeout=30)
        after_s = time.monotonic() - asked_s

        assert command.returncode == 128 + signum, said
        assert "is reverted and verified" in said
        assert open_faults(live) == ()
        tried.survived(f"reverted {after_s:.1f} s after the signal")


def test_the_next_fault_starts_right_after_one_that_ends(shop):
    """Injected in the very moment in which the last one is over, it waits for that one's guard instead of crying wolf."""
    first = tidegauge(shop, "faults", "inject", "pause", "--target", "orders", "--duration_s", "1", "--no-wait", "--json")
    assert first.returncode == 0, first.stderr
    (live,) = (shop / "live").glob("shop-*")
    until(lambda: not open_faults(live) or open_faults(live)[0].over(SystemClock()), 20)

    second = tidegauge(shop, "faults", "inject", "latency", "--target", "payment", "--duration_s", "1", "--json")

    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["verified"] is True
