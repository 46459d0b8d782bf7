"""A real Prometheus for the tests of this folder, on the loopback, over history that a test gives it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

Serve = Callable[[Path], str]
"""Starts a server over a data folder and gives its address."""


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program that makes blocks and reads them; the tests that need it skip where it is absent."""
    found = shutil.which("promtool")
    if found is None or shutil.which("prometheus") is None:
        pytest.skip("prometheus and promtool are not installed")
    return found


@pytest.fixture
def prometheus(promtool: str, tmp_path: Path) -> Iterator[Serve]:
    """Servers that are stopped with the test."""
    with ExitStack() as servers:
        yield lambda data: servers.enter_context(_served(data, tmp_path))


@contextmanager
def _served(data: Path, work: Path) -> Iterator[str]:
    config = work / "prometheus.yml"
    config.write_text("storage: {tsdb: {out_of_order_time_window: 1d}}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {
        "config.file": config,
        "storage.tsdb.path": data,
        "storage.tsdb.retention.time": "100y",
        "storage.remote.read-max-bytes-in-frame": 4096,
        "web.listen-address": address,
    }
    argv = ["prometheus", "--web.enable-remote-write-receiver", *(f"--{name}={value}" for name, value in options.items())]
    with (work / "prometheus.log").open("ab") as log, subprocess.Popen(argv, stdout=log, stderr=log) as server:
        try:
            _wait_until_ready(server, address, work / "prometheus.log")
            yield f"http://{address}"
        finally:
            server.terminate()


def _wait_until_ready(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    pytest.fail(f"prometheus did not become ready:\n{log.read_text()[-3000:]}")


@contextmanager
def bare_server(folder: Path, *flags: str) -> Iterator[str]:
    """A server over ``folder/data`` that scrapes nobody and chooses its own port; its address."""
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    argv = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0", *flags]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{_port(process, folder / 'log')}"
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and process.poll() is None:
        text = log.read_text()
        if "ready to receive web requests" in text:
            listening = next(line for line in text.splitlines() if 'msg="Listening on"' in line)
            return int(listening.rsplit(":", 1)[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())
