"""What is left when somebody dies: nothing under ``run``; under ``up`` what ``down`` can name and remove."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessId, identify
from tasks.cluster.local import LocalHandle, LocalProvider, leftovers, take_down
from tasks.cluster.state import State
from tests.cluster.parts import all_of, eventually, get, gone, services, start

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = ["sleep", "300"]


def owned_by_another(state_dir: Path, *names: str) -> tuple[subprocess.Popen[str], LocalHandle]:
    """A deployment whose owner is another process."""
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.owner", str(state_dir), *names], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline()
    return owner, LocalHandle.attach(state_dir)


def test_kill_9_of_the_owner_leaves_nothing_but_guards(state_dir):
    """Supervisor, services, children that left their group, stopped ones and actuators go; a guard stays."""
    owner, handle = owned_by_another(state_dir, "carts", "orders")
    found = handle.services()
    get(found["orders"].port, "/child/plain")
    get(found["orders"].port, "/child/escaped")
    handle.spawn_actuator("orders", SLEEPER)
    guard = handle.spawn_guard(SLEEPER)
    found["carts"].main.signal(signal.SIGSTOP)
    everything = all_of(handle)
    owner.kill()
    try:
        eventually(lambda: gone(everything), 5)

        assert len(everything) == 6
        assert guard.alive()
        assert leftovers(state_dir) == ()
    finally:
        guard.signal(signal.SIGKILL)
        owner.communicate()


def test_kill_9_of_the_supervisor_under_run_ends_its_children(state_dir):
    """The kernel ends services and actuators; the teardown of the owner finds what they had started."""
    handle = start(state_dir, "orders")
    grandchild = identify(int(get(handle.services()["orders"].port, "/child/escaped")))
    state = handle.state()
    children = [handle.services()["orders"].main, handle.spawn_actuator("orders", SLEEPER)]
    state.supervisor.signal(signal.SIGKILL)
    eventually(lambda: gone(children), 5)

    assert [(one.name, one.identity) for one in handle.leftovers()] == [("orders", f"pid {grandchild.pid}")]
    assert handle.down() == ()
    assert not grandchild.alive()


def test_kill_9_of_the_supervisor_under_up_leaves_what_down_removes(state_dir):
    """Services live on; the next command names them; down removes them by pid and start time, and then has nothing to do."""
    handle = start(state_dir, "carts", "orders", owned=False)
    grandchild = int(get(handle.services()["orders"].port, "/child/bare"))
    pids = {name: one.main.pid for name, one in handle.services().items()}
    handle.state().supervisor.signal(signal.SIGKILL)
    eventually(lambda: leftovers(state_dir))

    assert [one.identity for one in leftovers(state_dir)] == [
        f"pid {pid}" for pid in (pids["carts"], *sorted((pids["orders"], grandchild)))
    ]
    with pytest.raises(PreflightError, match=rf"left behind: carts \(pid {pids['carts']}\), orders .*") as refusal:
        LocalHandle.attach(state_dir)
    with pytest.raises(PreflightError, match="is dead and left behind"):
        handle.members("orders")
    with pytest.raises(PreflightError, match=r"an earlier deployment in .* left behind: carts"):
        start(state_dir, "user")
    assert refusal.value.next_step == "tidegauge down"
    assert {one.state for one in LocalProvider(state_dir).list()} == {"orphaned"}
    assert take_down(state_dir) == ()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in (*pids.values(), grandchild))
    assert take_down(state_dir) == ()
    assert list(start(state_dir, "user").services()) == ["user"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_deployment_in_order(state_dir, signum):
    """SIGTERM, SIGINT and SIGHUP to the supervisor: everything ends, a stopped service too, and it says why."""
    handle = start(state_dir, "carts", "orders", owned=False)
    handle.services()["carts"].main.signal(signal.SIGSTOP)
    everything = all_of(handle)
    handle.state().supervisor.signal(signum)
    eventually(lambda: gone(everything), 5)

    assert State.read(state_dir).ended_s is not None
    assert f'"why": "{signum.name}"' in (state_dir / "events.jsonl").read_text()
    assert not (state_dir / "control.sock").exists()


def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(state_dir):
    """Patience has an end."""
    handle = start(state_dir, "orders", owned=False)
    stubborn = handle.spawn_actuator(
        "orders", [sys.executable, "-S", "-c", "import signal, time; signal.signal(15, lambda *_: None); time.sleep(300)"]
    )

    assert handle.down() == ()
    assert not stubborn.alive()


def test_a_recycled_pid_is_never_killed(state_dir):
    """A state file whose pids now belong to others removes nobody: the start time, or the boot, is another."""
    handle = start(state_dir, "orders", owned=False)
    state = handle.state()
    handle.down()
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        now = identify(stranger.pid)
        older = ProcessId(now.pid, now.start_ticks - 1)
        (process,) = state.processes
        replace(state, supervisor=older, processes=(replace(process, main=older),)).write(state_dir)
        by_start_time = take_down(state_dir)
        replace(state, boot_id="another", supervisor=now, processes=(replace(process, main=now),)).write(state_dir)
        by_boot = take_down(state_dir)

        assert (by_start_time, by_boot) == ((), ())
        assert stranger.poll() is None
        assert not older.signal(signal.SIGKILL)
    finally:
        stranger.kill()
        stranger.wait()


def test_down_of_a_folder_without_a_deployment_does_nothing(tmp_path):
    """Absent, empty or broken: there is nothing to remove, and attach says what to type."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("state.json", "spec.json"):
        (broken / name).write_text("{")

    assert [take_down(folder) for folder in (tmp_path / "absent", tmp_path, broken)] == [(), (), ()]
    with pytest.raises(PreflightError, match="nothing runs in"):
        LocalHandle.attach(tmp_path)


def test_a_stopped_supervisor_cannot_stop_down(state_dir):
    """A supervisor that does not answer is made to go on and end."""
    handle = start(state_dir, "orders", owned=False)
    everything = all_of(handle)
    handle.state().supervisor.signal(signal.SIGSTOP)

    assert take_down(state_dir) == ()
    assert gone(everything)


def test_everything_listens_on_loopback_only(state_dir):
    """What a deployment opens can be reached from this machine alone."""
    handle = start(state_dir, "carts", "orders")
    pids = {one.pid for one in all_of(handle)}
    listening = [one for one in psutil.net_connections("inet") if one.pid in pids and one.status == psutil.CONN_LISTEN]

    assert len(listening) == 3
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


def test_nothing_in_a_name_or_argument_is_run_by_a_shell(state_dir, tmp_path):
    """Arguments reach the program as they are."""
    canary = tmp_path / "canary"
    hostile = [f"; touch {canary}", f"$(touch {canary})", f"`touch {canary}`", f"| touch {canary}", "&& x", "\n", "*", "~", "-"]
    (spec,) = services("orders")
    specs = [replace(spec, argv=(*spec.argv, *hostile), env={"HOSTILE": hostile[1]})]
    handle = LocalHandle.start(state_dir, specs, entry=None, proxy_ports={}, owner_pipe=True, settings=LocalProvider(state_dir).settings)
    handle.wait_ready(10)
    actuator = handle.spawn_actuator("orders", ["sleep", "300"])
    handle.spawn_actuator("orders", ["true", *hostile])
    given = Path(f"/proc/{handle.services()['orders'].main.pid}/cmdline").read_bytes().split(b"\0")

    assert [one.decode() for one in given[-10:-1]] == hostile
    assert actuator.alive()
    assert not canary.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
