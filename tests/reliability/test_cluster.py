"""Kill loops over the local cluster: whoever dies, and whenever, nothing is left that ``down`` cannot remove."""

from __future__ import annotations

import os
import random
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tasks.base.errors import TidegaugeError
from tasks.base.process import ProcessSpec
from tasks.cluster.deployment import checked
from tasks.cluster.local import LocalHandle, take_down
from tests.cluster.parts import QUICK, eventually, get, services, start

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = ["sleep", "300"]
DOWN = "import sys; from pathlib import Path; from tasks.cluster.local import take_down; print(flush=True); take_down(Path(sys.argv[1]))"
ROUNDS = 15
LEFT_BEHIND = "teardown interrupted, owner or supervisor killed -9"


def working_in(folder: Path) -> list[psutil.Process]:
    """Living processes that work in *folder* or below, found without any help of the product."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path) -> Iterator[None]:
    """A test that fails leaves nothing behind either."""
    yield
    for process in working_in(tmp_path.resolve()):
        process.kill()


def busy(state_dir: Path, *, owned: bool) -> LocalHandle:
    """A deployment with everything in it: children in and out of their group, an actuator, a stopped service."""
    handle = start(state_dir, "carts", "orders", "user", owned=owned)
    found = handle.services()
    get(found["orders"].port, "/child/plain")
    get(found["orders"].port, "/child/escaped")
    handle.spawn_actuator("carts", SLEEPER)
    found["user"].main.signal(signal.SIGSTOP)
    return handle


def test_a_teardown_killed_at_any_point_is_finished_by_the_next(tmp_path, ledger, rng):
    """``down`` is killed -9 after a random time, the supervisor before it, meanwhile or never: the next one leaves nothing."""
    for number in range(ROUNDS):
        state_dir = (tmp_path / str(number)).resolve()
        handle = busy(state_dir, owned=False)
        supervisor = handle.state().supervisor
        kill_supervisor_s = (0.0, rng.uniform(0.0, 0.1), None)[number % 3]
        if kill_supervisor_s == 0.0:
            supervisor.signal(signal.SIGKILL)
        down = subprocess.Popen([sys.executable, "-c", DOWN, str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE)
        down.stdout.readline()
        if kill_supervisor_s:
            time.sleep(kill_supervisor_s)
            supervisor.signal(signal.SIGKILL)
        time.sleep(rng.uniform(0.0, 0.2))
        down.kill()
        down.communicate()
        first, second = take_down(state_dir), take_down(state_dir)
        left = working_in(state_dir)

        ledger.count(row=22, fault=LEFT_BEHIND, survived=(first, second, left) == ((), (), []), figure=f"{len(left)} left")
        assert (first, second, left) == ((), (), [])


def test_an_owner_killed_at_any_point_leaves_nothing(tmp_path, ledger, rng):
    """The process that ``run`` would be is killed -9 while it starts a deployment or has one: all is gone in 5 s."""
    slowest_s = 0.0
    for number in range(ROUNDS):
        state_dir = (tmp_path / str(number)).resolve()
        owner = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.owner", str(state_dir), "carts", "orders"], cwd=ROOT, stdout=subprocess.PIPE
        )
        eventually(lambda folder=state_dir: (folder / "spec.json").exists(), 20)
        time.sleep(rng.uniform(0.0, 1.0))
        owner.kill()
        killed_s = time.monotonic()
        owner.communicate()
        while (left := working_in(state_dir)) and time.monotonic() - killed_s < 5:
            time.sleep(0.02)
        slowest_s = max(slowest_s, time.monotonic() - killed_s)

        ledger.count(row=22, fault=LEFT_BEHIND, survived=not left, figure=f"slowest {slowest_s:.1f} s")
        assert left == []


def test_a_supervisor_killed_at_any_point_under_run_takes_its_children_along(tmp_path, ledger, rng):
    """Killed -9 while services crash and restart: its children end with it, their children with the owner's teardown."""
    for number in range(ROUNDS):
        state_dir = (tmp_path / str(number)).resolve()
        handle = busy(state_dir, owned=True)
        supervisor = handle.state().supervisor
        children = psutil.Process(supervisor.pid).children()
        for name in rng.sample(["carts", "orders", "user"], 2):
            main = handle.services()[name].main
            if main is not None:
                main.signal(signal.SIGKILL)
        time.sleep(rng.uniform(0.0, 0.2))
        supervisor.signal(signal.SIGKILL)
        gone, alive = psutil.wait_procs(children, timeout=5)
        orphans = [one for one in working_in(state_dir) if "sleep" not in one.name()]
        left, still = handle.down(), working_in(state_dir)
        survived = (alive, orphans, left, still) == ([], [], (), [])

        ledger.count(row=22, fault=LEFT_BEHIND, survived=survived)
        assert (alive, orphans, left, still) == ([], [], (), [])
        assert len(gone) >= 4


def test_all_sockets_are_on_loopback(tmp_path, ledger):
    """Every socket that a deployment listens on, seen from outside."""
    handle = busy((tmp_path / "state").resolve(), owned=True)
    try:
        pids = {one.pid for one in working_in(handle.state_dir)}
        listening = [one for one in psutil.net_connections("inet") if one.pid in pids and one.status == psutil.CONN_LISTEN]
    finally:
        handle.down()

    assert len(listening) == 4
    for one in listening:
        ledger.count(row=38, fault="listening sockets", survived=one.laddr.ip == "127.0.0.1", figure="0 not on loopback")
        assert one.laddr.ip == "127.0.0.1"


def test_shell_metacharacters_run_nothing(tmp_path, ledger, rng):
    """Names are refused, arguments and variables arrive as they are; a file that any of them would make never appears."""
    canary = tmp_path / "canary"
    state_dir = (tmp_path / "state").resolve()
    (spec,) = services("orders")
    values = [hostile(rng, canary) for _ in range(40)]
    started = replace(spec, argv=(*spec.argv, *values), env={f"V{index}": value for index, value in enumerate(values)})
    handle = LocalHandle.start(state_dir, [started], entry=None, proxy_ports={}, owner_pipe=True, settings=QUICK)
    try:
        handle.wait_ready(10)
        given = [os.fsdecode(one) for one in Path(f"/proc/{handle.services()['orders'].main.pid}/cmdline").read_bytes().split(b"\0")]
        for value in values:
            handle.spawn_actuator("orders", ["true", value])
            refused = not accepted(value)
            survived = refused and value in given and not canary.exists()
            ledger.count(row=41, fault="shell metacharacters in names, arguments, variables", survived=survived, figure="0 executed")
            assert survived
        eventually(lambda: len(handle.members("orders")) == 1 and len(working_in(state_dir)) == 2)
    finally:
        assert handle.down() == ()
    assert not canary.exists()


def accepted(name: str) -> bool:
    """Whether *name* is taken as a process's name."""
    try:
        checked([ProcessSpec(name, ("true",))])
    except TidegaugeError:
        return False
    return True


def hostile(rng: random.Random, canary: Path) -> str:
    """Text that makes *canary* when any shell reads it."""
    command = f"touch {canary}"
    frame = rng.choice(
        ["; {} ;", "$({})", "`{}`", "| {}", "&& {}", "\n{}\n", "' ; {} ; '", '" ; {} ; "', "|| {} #", "${{IFS}}; {}", "& {} &"]
    )
    return "".join(rng.choices(string.punctuation.replace("\0", ""), k=rng.randrange(3))) + frame.format(command)
