"""The real demo shop, started once: eight processes on free loopback ports."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.model import App
from tasks.app.resolve import processes
from tasks.base.process import ProcessSpec, start_child, stop_group

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Given to each client, which would otherwise read all certificates of the machine."""


def wait_until(true: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Ask *true* until it is, at most *within_s*."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not within {within_s} s"
        time.sleep(0.02)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    """Whether the service on *port* says it is well."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False, verify=NO_TLS).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Shop:
    """Started services, by name."""

    root: Path
    folder: Path
    app: App = field(default_factory=lambda: app_of(DemoShop()))
    ports: dict[str, int] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    watcher: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10, trust_env=False, verify=NO_TLS))

    def start(self, *services: str) -> None:
        """Start *services* and wait until they are well; the others get a port on which nobody listens."""
        self.ports = {name: self.ports.get(name) or free_port() for name in self.app.names}
        for spec in processes(self.app, self.ports, self.ports, self.folder, sys.executable):
            if spec.name in services:
                self.children[spec.name] = self._start(spec)
        wait_until(lambda: all(answers(self.ports[name]) for name in services), within_s=60)

    def _start(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root), **spec.env}
        return start_child(spec.argv, output=self.folder / f"{spec.name}.log", env=env)

    def stop(self) -> None:
        """End everything that was started."""
        self.watcher.close()
        for child in self.children.values():
            stop_group(child, grace_s=5)

    def log(self, service: str) -> str:
        """What *service* wrote so far."""
        return (self.folder / f"{service}.log").read_text()

    def address(self, service: str) -> str:
        """Base address of *service*."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def client(self, service: str = "front-end") -> httpx.Client:
        """A browser without cookies yet."""
        return httpx.Client(base_url=self.address(service), timeout=10, trust_env=False, verify=NO_TLS)

    def samples(self, service: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples of *service* by name and labels."""
        text = self.watcher.get(f"{self.address(service)}/metrics").text
        families = text_string_to_metric_families(text)
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}

    def value(self, service: str, name: str) -> float:
        """The one value of a metric without labels."""
        return self.samples(service)[name, frozenset()]

    def requests(self, service: str) -> float:
        """How many requests *service* has timed."""
        return sum(value for (name, _), value in self.samples(service).items() if name == "request_duration_seconds_count")

    def delivered(self) -> None:
        """Wait until nothing is in the queue."""
        wait_until(lambda: self.value("shipping", "queue_depth") == 0)


@pytest.fixture(scope="session")
def shop(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """All eight services; whoever stops one starts it again."""
    started = Shop(root, tmp_path_factory.mktemp("shop"))
    try:
        started.start(*started.app.names)
        yield started
    finally:
        started.stop()


@pytest.fixture
def some(root: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own, of which nothing runs yet."""
    own = Shop(root, tmp_path)
    try:
        yield own
    finally:
        own.stop()


@pytest.fixture
def shopper(shop: Shop) -> Iterator[httpx.Client]:
    """A browser on the front-end, logged in as user."""
    with shop.client() as client:
        assert client.get("/login", auth=("user", "password")).status_code == 200
        yield client
