"""A real surface for faults: HTTP services as processes in groups of their own, and the fault proxy before them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.base.process import ProcessId, identify, stat_of
from tasks.faults.processes import group_members

SERVICE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
server.serve_forever()
"""
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], limit_s: float = 10.0) -> float:
    """Wait for *condition*, at most *limit_s*; the seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > limit_s:
            raise AssertionError(f"not within {limit_s} s")
        time.sleep(0.01)
    return time.monotonic() - start


@dataclass(frozen=True)
class Service:
    """One service as a surface shows it."""

    name: str
    main: ProcessId | None
    port: int
    proxy_port: int
    memory_limit_bytes: int | None = None
    restarts: int = 0
    entry: bool = False


@dataclass
class SmallShop:
    """Services ``front-end`` (entry), ``orders`` and ``payment``; no restarts but by :meth:`start`."""

    state_dir: Path
    _services: dict[str, Service] = field(default_factory=dict)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    proxy: subprocess.Popen[bytes] | None = None

    @classmethod
    def open(cls, folder: Path, names: Sequence[str] = ("front-end", "orders", "payment")) -> SmallShop:
        """Start everything and wait until it answers."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shop = cls(folder)
        for name in names:
            shop._services[name] = Service(name, None, free_port(), free_port(), entry=name == "front-end")
            shop.start(name)
        shop.start_proxy()
        for name in names:
            until(lambda name=name: shop.get(name)[0] == 200)
        return shop

    def save(self) -> Path:
        """Write what another process needs to :meth:`attach`."""
        facts = [[s.name, s.main.pid, s.main.start_ticks, s.port, s.proxy_port] for s in self._services.values() if s.main is not None]
        (self.state_dir / "shop.json").write_text(json.dumps(facts))
        return self.state_dir

    @classmethod
    def attach(cls, state_dir: Path) -> SmallShop:
        """The shop that another process runs."""
        facts = json.loads((state_dir / "shop.json").read_text())
        services = {f[0]: Service(f[0], ProcessId(f[1], f[2]), f[3], f[4], entry=f[0] == "front-end") for f in facts}
        return cls(state_dir, services)

    @property
    def proxy_socket(self) -> Path:
        """Where the proxy takes rules."""
        return self.state_dir / "proxy.sock"

    def start(self, name: str, *extra: str) -> None:
        """Start (again) the service *name*."""
        child = self._child([sys.executable, "-c", SERVICE, str(self._services[name].port), *extra], process_group=0)
        before = self._services[name]
        self._services[name] = replace(before, main=identify(child.pid), restarts=before.restarts + 1)

    def start_proxy(self) -> None:
        """Start (again) the proxy, and wait for its socket."""
        items = [{"name": s.name, "port": s.proxy_port, "upstream_port": s.port} for s in self._services.values()]
        config = self.state_dir / "proxy.json"
        config.write_text(json.dumps({"socket": str(self.proxy_socket), "metrics_port": free_port(), "services": items}))
        self.proxy = self._child([sys.executable, "-m", "tasks.faults.proxy", str(config)], process_group=0)
        until(self.proxy_socket.exists)

    def _child(self, argv: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        with (self.state_dir / "output.log").open("ab") as output:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, **options)  # type: ignore[call-overload]
        self.children.append(child)
        return child

    def services(self) -> Mapping[str, Service]:
        """All services."""
        return self._services

    def members(self, service: str) -> tuple[ProcessId, ...]:
        """Living processes of *service*; a command line names an actuator."""
        main = self._services[service].main
        living = group_members([main]) if main is not None else ()
        return tuple(p for p in living if b"tasks.faults.actuators" not in Path(f"/proc/{p.pid}/cmdline").read_bytes())

    def spawn_actuator(self, service: str, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in the group of *service*."""
        main = self._services[service].main
        assert main is not None
        return _identity(self._child(argv, process_group=main.pid))

    def spawn_guard(self, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in a session of its own."""
        return _identity(self._child(argv, start_new_session=True))

    def states(self, service: str) -> set[str]:
        """States of the processes of *service*, as ``/proc`` says them."""
        main = self._services[service].main
        found = {stat_of(p.pid) for p in group_members([main])} if main is not None else set()
        return {stat.state for stat in found if stat is not None}

    def get(self, service: str, timeout_s: float = 5.0) -> tuple[int, float]:
        """Status (0: no answer) and seconds of one request through the proxy."""
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._services[service].proxy_port, timeout=timeout_s)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.monotonic() - start
        except (OSError, http.client.HTTPException):
            return 0, time.monotonic() - start
        finally:
            connection.close()

    def reap(self) -> None:
        """Collect ended children, so that none stays a zombie."""
        for child in self.children:
            child.poll()

    def close(self) -> None:
        """End everything that was started here."""
        for child in self.children:
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()


def _identity(child: subprocess.Popen[bytes]) -> ProcessId:
    found = identify(child.pid)
    assert found is not None
    return found
