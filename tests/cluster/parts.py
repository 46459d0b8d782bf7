"""What the tests of the local cluster share: small services, and waiting for a condition."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tasks.base.process import ProcessId, ProcessSpec
from tasks.cluster import marks
from tasks.cluster.config import LocalCluster, RestartConfig
from tasks.cluster.local import LocalHandle, allocate_ports

T = TypeVar("T")
PROGRAM = Path(__file__).with_name("program.py")
QUICK = LocalCluster(restart=RestartConfig(delay_s=0.4, max_delay_s=0.8, reset_after_s=600.0), stop_grace_s=1.0, ready_timeout_s=10.0)


def services(*names: str, limit_bytes: int | None = None, env: dict[str, str] | None = None) -> list[ProcessSpec]:
    """A small service for each of *names*."""
    return [
        ProcessSpec(name, (sys.executable, "-S", str(PROGRAM), str(port)), env or {}, port, "/", limit_bytes)
        for name, port in allocate_ports(names).items()
    ]


def start(state_dir: Path, *names: str, owned: bool = True, settings: LocalCluster = QUICK, limit_bytes: int | None = None) -> LocalHandle:
    """A deployment of small services that answers."""
    specs = services(*names, limit_bytes=limit_bytes)
    handle = LocalHandle.start(state_dir, specs, entry=names[0], proxy_ports={}, owner_pipe=owned, settings=settings)
    handle.wait_ready(10.0)
    return handle


def eventually(check: Callable[[], T], within_s: float = 10.0) -> T:
    """The first true value of *check*; fails when there is none within *within_s*."""
    until = time.monotonic() + within_s
    while not (value := check()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return value


def get(port: int, path: str = "/") -> str:
    """The reply of the service on *port*."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
        return reply.read().decode()


def metric(handle: LocalHandle, name: str, container: str, page: str = "cadvisor", label: str = "container") -> float:
    """The present value of one row of the supervisor's metrics."""
    with urllib.request.urlopen(f"{handle.kubelet_url}/metrics/{page}", timeout=20) as reply:
        text = reply.read().decode()
    wanted = f'{name}{{{label}="{container}"}} '
    return next(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))


def all_of(handle: LocalHandle) -> list[ProcessId]:
    """Every living process of the deployment: supervisor, mains, their children, actuators."""
    return [one.id for one in marks.living(handle.state().token) if one.mark.kind != "guard"]


def gone(processes: list[ProcessId]) -> bool:
    """Whether none of *processes* lives."""
    return not any(one.alive() for one in processes)
