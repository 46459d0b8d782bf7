"""
The Prefect server of one command, when none is named.

Prefect's own ephemeral server shares our process group and our output, and outlives a kill -9. This one is the same
program with a session and a log file of its own, tied to our life; it starts while we are still importing.
"""

import importlib.util
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.process import start_child, stop_group
from tasks.base.stopping import sheltered, stop_if_asked

READY_S = 120.0
PORTS = range(8000, 9000)
"""Where Prefect looks for a port as well; the kernel gives none of these to outgoing connections."""
GRACE_S = 8.0


@dataclass(frozen=True, slots=True)
class TemporaryServer:
    """A server that is starting."""

    url: str
    child: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> None:
        """
        Return when it answers.

        Raises:
            PreflightError: It ended, or did not answer in time.
            Cancelled: A signal came.
        """
        deadline = time.monotonic() + READY_S
        while not answers(self.url):
            stop_if_asked()
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise PreflightError(f"the temporary Prefect server did not start: {self._last_line()}", next_step=f"see {self.log}")
            time.sleep(0.05)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextmanager
def temporary_server(store: Path) -> Iterator[TemporaryServer]:
    """Start a server on loopback, name it in ``PREFECT_API_URL``, and stop it at the end."""
    url, log = f"http://127.0.0.1:{free_port()}/api", store / "prefect-server.log"
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    log.write_bytes(b"")
    child = start_child(server_argv(url), output=log, env=environment, cwd=store)
    os.environ["PREFECT_API_URL"] = url
    try:
        yield TemporaryServer(url, child, log)
    finally:
        with sheltered():
            stop_group(child, grace_s=GRACE_S)
            os.environ.pop("PREFECT_API_URL", None)


def server_argv(url: str) -> list[str]:
    """The command line by which Prefect starts its ephemeral server."""
    found = importlib.util.find_spec("prefect")
    if found is None or found.origin is None:
        raise PreflightError("Prefect is not installed", next_step="make install")
    port = url.rpartition(":")[2].partition("/")[0]
    where = ["--app-dir", str(Path(found.origin).parent), "--host", "127.0.0.1", "--port", port]
    quiet = ["--log-level", "error", "--lifespan", "on", "--timeout-graceful-shutdown", "2"]
    return [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", *where, *quiet]


def free_port() -> int:
    """
    A loopback port that nothing listens on.

    Raises:
        PreflightError: Every one that was tried is taken.
    """
    for port in random.SystemRandom().sample(PORTS, 50):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PreflightError("no free port for the Prefect server", next_step="name a running one: PREFECT_API_URL=... tidegauge ...")


def answers(url: str) -> bool:
    """Whether a Prefect API answers at *url*; no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=2.0) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
