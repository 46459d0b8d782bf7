"""The template of an app of one's own: what ``init`` writes really runs, and measures itself in the catalogue's terms."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from flows.document import load_document
from flows.starting import start_project
from tasks.app.files import app_of
from tasks.app.resolve import processes
from tasks.app.smoke import smoke


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A loopback port each."""
    with ExitStack() as stack:
        held = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names}
        return {name: one.getsockname()[1] for name, one in held.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in a folder whose name is no help: a blank, a quote, braces."""
    folder = tmp_path / 'my "own" {app}'
    start_project(folder, "own-app")
    return folder


@pytest.fixture
def running(project: Path, tmp_path: Path) -> Iterator[tuple[dict[str, int], dict[str, subprocess.Popen[bytes]]]]:
    """Both services as the document starts them, from folders of their own."""
    app = app_of(load_document(project / "experiment.yaml").app)
    ports = free_ports(app.names)
    started = {}
    for spec in processes(app, ports, ports, tmp_path / "data", sys.executable):
        started[spec.name] = subprocess.Popen(spec.argv, env={**spec.env, "PATH": "/usr/bin:/bin"}, cwd=tmp_path)
    try:
        for port in ports.values():
            answers(port)
        yield ports, started
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def answers(port: int) -> None:
    """Wait until the service at *port* is ready."""
    deadline = time.monotonic() + 20
    while True:
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).text == "ok"
        except httpx.TransportError:
            assert time.monotonic() < deadline, "it never got ready"
            time.sleep(0.05)
        else:
            return


def test_the_app_passes_its_own_smoke_test(project, running):
    """And its metrics page has the histogram that the document requires, with the status that the catalogue looks for."""
    ports, _ = running
    app = app_of(load_document(project / "experiment.yaml").app)

    assert smoke(f"http://127.0.0.1:{ports[app.entry]}", app.smoke).sentence.startswith("all 1 steps passed")

    for service in app.names:
        page = httpx.get(f"http://127.0.0.1:{ports[service]}/metrics", trust_env=False).text
        assert all(name in page for name in app.required_metrics)
        assert 'status_code="200"' in page


def test_a_dead_service_is_the_fault_of_nobody_else(running):
    """The entry answers 502 when prices are gone, and counts it as an error of its own."""
    ports, started = running
    started["prices"].kill()
    started["prices"].wait()

    answer = httpx.get(f"http://127.0.0.1:{ports['front']}/offer", trust_env=False)

    assert answer.status_code == 502
    assert 'status_code="502"' in httpx.get(f"http://127.0.0.1:{ports['front']}/metrics", trust_env=False).text
