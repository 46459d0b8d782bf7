"""A cluster comes up, works, and goes without a trace; what is left is told."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import ROOT, Cluster, Machine, eventually
from tests.live.harness.inventory import cgroups
from tests.live.harness.layout import Layout
from tests.live.harness.up import forwarded

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
DEPLOYED = (Path(__file__).with_name("deployed.yaml")).read_text()
ASK = """
import time, urllib.request
last_s = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen("http://front.shop/", timeout=5).read().decode())
        break
    except OSError:  # a Service refuses until the node's proxy has heard of its first pod
        if time.monotonic() > last_s:
            raise
        time.sleep(0.1)
"""


def looks() -> dict[str, set[str]]:
    """What there is on this machine, found in other ways than the harness does."""
    mounts = subprocess.run(["findmnt", "--list", "--noheadings", "--output", "TARGET"], capture_output=True, text=True, check=True).stdout
    cgroups = subprocess.run(["find", "/sys/fs/cgroup", "-type", "d", "-name", "*pod*"], capture_output=True, text=True, check=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    commands = subprocess.run(["ps", "-eo", "stat=,comm="], capture_output=True, text=True, check=True).stdout
    folders = [
        Path(name) for name in ("/run", "/var/lib", "/var/log", "/opt", "/etc", "/usr/libexec", "/var/lib/kubelet", "/run/containerd")
    ]
    names = ["vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "net.ipv4.ip_forward"]
    sysctls = subprocess.run(["sysctl", *names], capture_output=True, text=True, check=True).stdout
    ours = ("containerd", "etcd", "kube", "runc", "pause", "coredns", "uvicorn")
    return {
        "mounts": set(mounts.split()),
        "cgroups": set(cgroups.split()),
        "links": {line.split(":")[1] for line in links.splitlines()},
        "processes": {line for line in commands.splitlines() if not line.startswith("Z") and any(name in line for name in ours)},
        "folders": {str(path) for folder in folders if folder.is_dir() for path in folder.iterdir()},
        "sysctls": set(sysctls.splitlines()),
    }


def changed(before: dict[str, set[str]]) -> dict[str, set[str]]:
    """What came or went since *before*."""
    return {kind: found ^ before[kind] for kind, found in looks().items() if found != before[kind]}


@pytest.fixture
def gone_afterwards(machine: Machine) -> Iterator[None]:
    """Whatever a test does, nothing is up after it."""
    yield
    machine.down()


@pytest.mark.parametrize("unified", [False, True])
def test_cgroups_of_others_are_not_its_own(tmp_path, unified):
    """The uppermost are looked at, and those of pods at any depth; not what another manager makes below its own."""
    top = tmp_path if unified else tmp_path / "memory"
    for name in ("kubepods/burstable/pod1", "others/5ac6", "docker/1/kubepods/pod2", "user.slice/kubepods"):
        (top / name).mkdir(parents=True)
    if unified:
        (tmp_path / "cgroup.controllers").touch()

    found = {Path(path).relative_to(top).as_posix() for path in cgroups(tmp_path)}

    pods = {"kubepods", "kubepods/burstable", "kubepods/burstable/pod1", "docker/1/kubepods", "docker/1/kubepods/pod2"}
    assert found == pods | {"others", "docker"}


@pytest.mark.parametrize("cycle", [1, 2, 3])
def test_it_comes_up_works_and_goes(bare, cycle):
    """Three times in a row: pods find each other by name, loopback reaches them, and the machine is as it was."""
    before = looks()

    bare.up()
    cluster = Cluster(Path(bare.seen["kubeconfig"]), Path(bare.seen["netns"]), bare.seen["context"])
    assert bare.seen["version"].startswith("v1.36.")
    cluster.kubectl("apply", "-f", "-", given=DEPLOYED)
    cluster.kubectl("--namespace=shop", "rollout", "status", "deployment/front", "--timeout=60s")
    answered = json.loads(cluster.kubectl("--namespace=shop", "exec", "deployment/front", "--", "python3", "-c", ASK))
    address = cluster.kubectl("--namespace=shop", "get", "service", "front", "-o=jsonpath={.spec.clusterIP}")
    port = forwarded(Layout(bare.state), "front", f"{address}:80")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
        from_outside = json.load(reply)
    during = looks()
    bare.down_clean()

    assert answered["service"] == from_outside["service"] == "front"
    assert {kind for kind in before if during[kind] - before[kind]} >= {"mounts", "cgroups", "processes", "folders"}
    assert changed(before) == {}


def test_a_second_up_changes_nothing(cluster, machine):
    """It is up already; the same processes go on."""
    before = machine.status()

    ran = machine.call("up")

    assert (ran.returncode, "already" in ran.stderr) == (0, True)
    assert machine.status() == before
    assert all(before["processes"].values())


def test_a_second_down_does_nothing(bare):
    """Where nothing is up there is nothing to take down."""
    ran = bare.call("down")

    assert (ran.returncode, ran.stdout) == (0, "")
    assert bare.call("status").returncode == 1


def test_the_kubeconfig_is_for_programs_of_this_machine(cluster, machine):
    """It leads through loopback, and is what ``status`` names."""
    printed = machine.call("kubeconfig").stdout

    assert "https://127.0.0.1:" in printed
    assert printed == cluster.kubeconfig.read_text()
    assert cluster.kubectl("config", "current-context").strip() == cluster.context
    assert cluster.kubeconfig.stat().st_mode & 0o077 == 0


def test_there_is_no_way_out(cluster):
    """Neither an address nor a name of the world is reached, and both fail at once instead of hanging."""
    begun_s = time.monotonic()

    reached = subprocess.run(
        ["nsenter", f"--net={cluster.netns}", "curl", "-sS", "--max-time", "20", "http://192.0.2.1/"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert reached.returncode == 7
    assert time.monotonic() - begun_s < 15


def test_a_guest_is_told_and_left_alone(cluster, machine, gone_afterwards):
    """A process of somebody else in the cluster's network keeps it there: ten, its name, and once it has ended, nothing."""
    guest = subprocess.Popen(["nsenter", f"--net={cluster.netns}", "sleep", "600"])
    try:
        ran = machine.down()

        assert ran.returncode == 10
        assert [line for line in ran.stdout.splitlines() if f"process {guest.pid} " in line]
        assert guest.poll() is None
    finally:
        guest.kill()
        guest.wait()
    machine.down_clean()
    assert not machine.state.exists()


def test_what_is_left_is_told(cluster, machine, gone_afterwards):
    """A folder and a setting that were not there before: each has its line, until they are as they were."""
    folder, setting = Path("/run/tidegauge-live-left"), Path("/proc/sys/vm/swappiness")
    value = setting.read_text().strip()
    folder.mkdir()
    setting.write_text(str(int(value) + 1))
    try:
        ran = machine.down()

        assert ran.returncode == 10
        assert ran.stdout.splitlines() == [f"path {folder}", f"sysctl vm/swappiness is {int(value) + 1}, was {value}"]
    finally:
        folder.rmdir()
        setting.write_text(value)
    machine.down_clean()


@pytest.mark.parametrize("reached", ["etcd", "containerd", "kubelet"])
def test_a_killed_up_is_cleared_by_down(bare, reached):
    """At whatever step it was: what it had started is found, and goes."""
    before = looks()
    rising = subprocess.Popen(bare.command("up"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(Layout(bare.state).pid_file(reached).exists)
    rising.send_signal(signal.SIGKILL)
    rising.wait()

    bare.down_clean()

    assert changed(before) == {}


def test_an_up_that_is_told_to_end_clears_up_itself(bare):
    """TERM while it is at work: what it had started is gone when it has ended."""
    before = looks()
    rising = subprocess.Popen(bare.command("up"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(Layout(bare.state).pid_file("apiserver").exists)
    rising.send_signal(signal.SIGTERM)

    assert rising.wait() == 128 + signal.SIGTERM
    assert changed(before) == {}


def test_without_what_it_is_made_of_nothing_is_started(bare, tmp_path):
    """All that is missing is told at once, with the code of something missing."""
    ran = bare.call("up", env={"XDG_CACHE_HOME": str(tmp_path), "PATH": "/nonexistent"})

    assert ran.returncode == 3
    assert "make cluster" in ran.stderr
    assert "not installed: " in ran.stderr
    assert not bare.state.exists()
