"""A supervisor and small services, as real processes: what is started, restarted, limited, counted and kept."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tasks.base.errors import LockedError, PreflightError
from tasks.base.process import ProcessSpec, identify, stat_of
from tasks.cluster import control
from tasks.cluster.config import LocalCluster, RestartConfig
from tasks.cluster.local import LocalHandle, allocate_ports
from tests.cluster.parts import QUICK, all_of, eventually, get, gone, metric, services, start

SPINNER = [sys.executable, "-S", "-c", "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"]
SLEEPER = ["sleep", "300"]


def events(handle: LocalHandle) -> list[dict]:
    """All events so far."""
    return [json.loads(line) for line in (handle.state_dir / "events.jsonl").read_text().splitlines()]


def test_services_answer_and_say_who_they_are(state_dir):
    """Each has its port, its own group in the supervisor's session, and the entry is marked."""
    handle = start(state_dir, "carts", "orders")
    found = handle.services()
    group = {name: stat_of(one.main.pid).group for name, one in found.items()}

    assert list(found) == ["carts", "orders"]
    assert [one.entry for one in found.values()] == [True, False]
    assert get(found["orders"].port) == "ok"
    assert found["orders"].proxy_port == found["orders"].port
    assert group == {name: one.main.pid for name, one in found.items()}
    assert os.getsid(found["carts"].main.pid) == handle.state().supervisor.pid
    assert oct(state_dir.stat().st_mode)[-3:] == "700"
    assert oct((state_dir / "control.sock").stat().st_mode)[-3:] == "600"


def test_nothing_of_the_users_environment_leaks(state_dir, monkeypatch):
    """A service sees a short list of variables and its own; a secret of the shell is not among them."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    handle = LocalHandle.start(state_dir, services("orders", env={"OWN": "1"}), entry=None, proxy_ports={}, owner_pipe=True, settings=QUICK)
    handle.wait_ready(10)
    seen = json.loads(get(handle.services()["orders"].port, "/env"))
    allowed = {"PATH", "HOME", "LANG", "LC_CTYPE", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONUNBUFFERED", "OWN"}

    assert {name for name in seen if not name.startswith("TIDEGAUGE_")} <= allowed
    assert seen["OWN"] == "1"
    assert b"canary" not in b"".join(path.read_bytes() for path in state_dir.rglob("*") if path.is_file())


def test_project_modules_can_be_started(state_dir):
    """``python -m tasks...`` works for what the supervisor starts, wherever it was started from."""
    spec = ProcessSpec("checker", (sys.executable, "-m", "tasks.cluster.supervisor", "--help"))
    handle = LocalHandle.start(state_dir, [spec], entry=None, proxy_ports={}, owner_pipe=True, settings=QUICK)

    eventually(lambda: any(event["kind"] == "exited" for event in events(handle)))
    first = next(event for event in events(handle) if event["kind"] == "exited")
    assert (first["code"], first["reason"]) == (0, "Completed")


def test_a_crashed_service_is_restarted_at_once_then_later(state_dir):
    """The first restart is immediate, the second waits; the count and the reason are told."""
    handle = start(state_dir, "orders")
    first = handle.services()["orders"]
    first.main.signal(signal.SIGKILL)
    second = eventually(lambda: (one := handle.services()["orders"]).restarts == 1 and one.main and one)
    second.main.signal(signal.SIGKILL)
    waiting = eventually(lambda: handle.services()["orders"].main is None and handle.state().processes[0])
    third = eventually(lambda: (one := handle.services()["orders"]).restarts == 2 and one.main and one)
    ends = [event for event in events(handle) if event["kind"] == "exited"]

    assert waiting.status in ("clearing", "waiting")
    assert len({first.main, second.main, third.main}) == 3
    assert [(end["code"], end["reason"], end["next_start_s"]) for end in ends] == [
        (-9, "Error", pytest.approx(0.0, abs=0.05)),
        (-9, "Error", pytest.approx(0.4, abs=0.05)),
    ]
    assert metric(handle, "kube_pod_container_status_restarts_total", "orders") == 2


def test_the_rest_of_a_group_goes_with_its_main(state_dir):
    """Children, and those that left group and environment, are gone before the service starts again."""
    handle = start(state_dir, "orders")
    before = handle.services()["orders"]
    children = [identify(int(get(before.port, f"/child/{kind}"))) for kind in ("plain", "escaped", "bare")]
    eventually(lambda: set(children) <= set(handle.members("orders")))
    actuator = handle.spawn_actuator("orders", SLEEPER)
    before.main.signal(signal.SIGKILL)
    after = eventually(lambda: (one := handle.services()["orders"]).restarts == 1 and one.main and one)

    assert gone([*children, actuator])
    assert handle.members("orders") == (after.main,)


def test_a_service_over_its_memory_limit_is_killed(state_dir):
    """Reason OOMKilled, counted, restarted; its neighbour is left alone."""
    handle = start(state_dir, "carts", "orders", limit_bytes=60_000_000)
    before = handle.services()
    with contextlib.suppress(OSError):  # the reply may never come
        get(before["orders"].port, "/hold/80")
    after = eventually(lambda: (one := handle.services())["orders"].restarts == 1 and one["orders"].main and one)

    assert after["carts"] == before["carts"]
    assert metric(handle, "container_oom_events_total", "orders") == 1
    assert metric(handle, "kube_pod_container_status_last_terminated_reason", 'orders",reason="OOMKilled') == 1
    assert [event["service"] for event in events(handle) if event["kind"] == "oom_killed"] == ["orders"]


def test_memory_of_an_actuator_counts_against_the_limit(state_dir):
    """A leak in the service's group is the service's leak."""
    handle = start(state_dir, "orders", limit_bytes=60_000_000)
    leak = "import time\nheld = bytearray(b'x' * 80_000_000)\ntime.sleep(300)"
    actuator = handle.spawn_actuator("orders", [sys.executable, "-S", "-c", leak])
    eventually(lambda: any(event["kind"] == "oom_killed" for event in events(handle)))

    eventually(lambda: not actuator.alive())
    eventually(lambda: handle.services()["orders"].restarts == 1)


def test_cpu_and_writes_of_ended_processes_are_kept(state_dir):
    """Main, a child that was waited for, an actuator that ended: all stay in the counters, which never fall."""
    handle = start(state_dir, "orders")
    port = handle.services()["orders"].port

    def cpu() -> float:
        return metric(handle, "container_cpu_usage_seconds_total", "orders")

    start_s = cpu()
    get(port, "/spin/0.3")
    own = cpu()
    get(port, "/spin-in-child/0.3")
    with_child = cpu()
    actuator = handle.spawn_actuator("orders", SPINNER)
    seen = [with_child]
    while actuator.alive():
        seen.append(cpu())
    eventually(lambda: seen.append(cpu()) or any(event["kind"] == "actuator_ended" for event in events(handle)))
    seen.append(cpu())
    get(port, "/write/256")

    assert 0.3 <= own - start_s < 0.5
    assert 0.3 <= with_child - own < 0.6
    assert 0.3 <= seen[-1] - with_child < 0.6
    assert seen == sorted(seen)
    assert metric(handle, "harness_cpu_seconds_total", "actuator/orders", "harness", "process") == pytest.approx(
        seen[-1] - with_child, abs=0.1
    )
    eventually(lambda: metric(handle, "container_fs_writes_bytes_total", "orders") >= 256 << 10)


def test_a_child_that_nobody_waits_for_stays_counted(state_dir):
    """The kernel passes nothing up when a parent ignores its children; the last value seen is kept."""
    handle = start(state_dir, "orders")
    before = metric(handle, "container_cpu_usage_seconds_total", "orders")
    child = identify(int(get(handle.services()["orders"].port, "/spin-unwaited/0.3")))
    seen = [before]
    while child.alive():
        seen.append(metric(handle, "container_cpu_usage_seconds_total", "orders"))
        time.sleep(0.05)
    seen.append(metric(handle, "container_cpu_usage_seconds_total", "orders"))

    assert seen == sorted(seen)
    assert seen[-1] - before >= 0.3


def test_the_counter_falls_only_when_the_main_process_restarts(state_dir):
    """A new life begins at nothing, as a container's does."""
    handle = start(state_dir, "orders")
    before = handle.services()["orders"]
    get(before.port, "/spin/0.5")
    used = metric(handle, "container_cpu_usage_seconds_total", "orders")
    before.main.signal(signal.SIGKILL)
    eventually(lambda: handle.services()["orders"].restarts == 1)

    assert metric(handle, "container_cpu_usage_seconds_total", "orders") < used


def test_an_actuator_shows_in_cpu_and_memory_alone(state_dir):
    """Processes, threads and descriptors of a service are its own, while an actuator runs and after it ended."""
    handle = start(state_dir, "orders")
    gauges = ("container_processes", "container_threads", "container_file_descriptors")
    before = [metric(handle, name, "orders") for name in gauges]
    memory = metric(handle, "container_memory_working_set_bytes", "orders")
    actuator = handle.spawn_actuator(
        "orders", [sys.executable, "-S", "-c", "import time; held = bytearray(b'x' * 30_000_000); time.sleep(300)"]
    )
    eventually(lambda: metric(handle, "container_memory_working_set_bytes", "orders") > memory + 30_000_000)
    during = [metric(handle, name, "orders") for name in gauges]
    members = handle.members("orders")
    actuator.signal(signal.SIGKILL)
    eventually(lambda: metric(handle, "container_memory_working_set_bytes", "orders") < memory + 5_000_000)

    assert before[0] == before[1] == 1
    assert during == before
    assert [metric(handle, name, "orders") for name in gauges] == before
    assert members == (handle.services()["orders"].main,)
    assert stat_of(actuator.pid) is None  # reaped, not a zombie in anybody's count


def test_a_stopped_service_is_still_there(state_dir):
    """SIGSTOP ends no life: same process, no restart, still a member, still counted."""
    handle = start(state_dir, "orders")
    main = handle.services()["orders"].main
    main.signal(signal.SIGSTOP)
    eventually(lambda: stat_of(main.pid).state == "T")
    during = (handle.services()["orders"].restarts, handle.members("orders"), metric(handle, "container_processes", "orders"))
    main.signal(signal.SIGCONT)

    assert during == (0, (main,), 1)
    assert get(handle.services()["orders"].port) == "ok"


def test_a_child_counts_as_a_process_of_its_service(state_dir):
    """A member of the group is counted until it ends, a zombie is not."""
    handle = start(state_dir, "orders")
    child = identify(int(get(handle.services()["orders"].port, "/child/plain")))
    during = metric(handle, "container_processes", "orders")
    child.signal(signal.SIGKILL)
    eventually(lambda: stat_of(child.pid).state == "Z")  # its parent never waits for it

    assert during == 2
    eventually(lambda: metric(handle, "container_processes", "orders") == 1)


def test_output_is_kept_with_its_time(state_dir):
    """Each line once, in order, stamped within the test, readable after the end."""
    handle = start(state_dir, "orders")
    began_ms = time.time_ns() // 1_000_000 - 10
    for word in ("one", "two", "three"):
        get(handle.services()["orders"].port, f"/say/{word}")
    eventually(lambda: control.ask(state_dir, "log_tail", name="orders")["lines"][-1:] == ["three"])
    handle.down()
    lines = [line.split("\t") for line in gzip.decompress((state_dir / "logs" / "orders.log.gz").read_bytes()).decode().splitlines()]

    assert [text for _, text in lines] == ["one", "two", "three"]
    assert all(began_ms <= int(stamp) <= time.time() * 1000 for stamp, _ in lines)


def test_a_guard_outlives_everything(state_dir):
    """Neither teardown nor the end of the supervisor ends it, and it is nobody's leftover."""
    handle = start(state_dir, "orders")
    guard = handle.spawn_guard(SLEEPER)
    try:
        left = handle.down()

        assert left == ()
        assert guard.alive()
        assert os.getsid(guard.pid) == guard.pid
    finally:
        guard.signal(signal.SIGKILL)


def test_time_to_live_ends_a_deployment(state_dir):
    """A deployment made by ``up`` with a ttl is gone after it, in good order."""
    handle = start(state_dir, "orders", owned=False, settings=QUICK.model_copy(update={"ttl_s": 1.5}))
    processes = all_of(handle)
    eventually(lambda: gone(processes))

    assert events(handle)[-1]["kind"] == "supervisor_ended"
    assert any(event.get("why") == "ttl" for event in events(handle))


def test_refusals_are_sentences(state_dir):
    """What is not there, or cannot be started, is refused with its name, and nothing was started."""
    handle = start(state_dir, "orders")
    before = all_of(handle)
    for act, said in (
        (lambda: handle.members("nobody"), "there is no 'nobody'"),
        (lambda: handle.spawn_actuator("nobody", ["true"]), "there is no service 'nobody'"),
        (lambda: handle.spawn_actuator("orders", ["/no/such/program"]), "cannot start '/no/such/program'"),
        (lambda: handle.spawn_actuator("orders", ["true", "a\0b"]), "must be a list of texts"),
        (lambda: handle.spawn_guard([]), "must be a list of texts"),
    ):
        with pytest.raises(PreflightError, match=said):
            act()

    assert all_of(handle) == before


def test_a_service_that_never_answers_is_named_with_its_output(state_dir):
    """Which one, why, its last lines and the next step, before the deadline when there is no hope."""
    code = "import sys; print('no database at 127.0.0.1:1'); sys.exit(3)"
    specs = [*services("carts"), ProcessSpec("orders", (sys.executable, "-S", "-c", code), port=allocate_ports(["x"])["x"])]
    settings = LocalCluster(restart=RestartConfig(delay_s=60), stop_grace_s=0.5)
    handle = LocalHandle.start(state_dir, specs, entry=None, proxy_ports={}, owner_pipe=True, settings=settings)
    began = time.monotonic()
    with pytest.raises(PreflightError) as refusal:
        handle.wait_ready(30)

    assert time.monotonic() - began < 10
    assert "orders did not get ready within 30 s: it ended 2 times (Error)" in str(refusal.value)
    assert "no database at 127.0.0.1:1" in str(refusal.value)
    assert "orders.log.gz" in str(refusal.value.next_step)


def test_a_program_that_does_not_exist_is_told_so(state_dir):
    """A missing program is an end like another: said in the log, tried again, never a crash of the supervisor."""
    spec = ProcessSpec("orders", ("/no/such/program",), port=allocate_ports(["x"])["x"])
    handle = LocalHandle.start(state_dir, [spec], entry=None, proxy_ports={}, owner_pipe=True, settings=QUICK)
    with pytest.raises(PreflightError, match="cannot start /no/such/program: No such file or directory"):
        handle.wait_ready(0.3)


def test_a_taken_port_is_a_sentence(state_dir):
    """The port, its holder and the next step; nothing was started; exit code 3."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PreflightError, match=rf"port {port} of orders is taken by .* \(pid {os.getpid()}\)") as refusal:
            LocalHandle.start(
                state_dir, [ProcessSpec("orders", ("true",), port=port)], entry=None, proxy_ports={}, owner_pipe=True, settings=QUICK
            )

    assert refusal.value.exit_code == 3
    assert not state_dir.exists()


def test_one_deployment_a_folder(state_dir):
    """A second one is refused with the holder's pid, and the first goes on."""
    handle = start(state_dir, "orders")
    with pytest.raises(LockedError, match=rf"supervisor: pid {handle.state().supervisor.pid}"):
        start(state_dir, "carts")

    assert list(handle.services()) == ["orders"]


def test_a_long_path_needs_no_luck(tmp_path):
    """The control socket works below a path longer than a socket's address may be."""
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    handle = start(folder, "orders")
    try:
        assert list(LocalHandle.attach(folder).services()) == ["orders"]
    finally:
        assert handle.down() == ()


def test_ports_are_free_and_different():
    """Outside the range of outgoing connections, each can be listened on."""
    ports = allocate_ports([f"s{number}" for number in range(50)])

    assert len(set(ports.values())) == 50
    low, high = (int(text) for text in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not any(low <= port <= high for port in ports.values())
