"""Deployments: which flows are served, with which schedule, and the server that shows them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from flows.baseline_long import baseline_long
from flows.evaluate import evaluate
from flows.experiment import experiment
from flows.server import ServerChoice
from tasks.base.errors import PreflightError
from tasks.base.process import start_child, stop_group

READY_S = 120.0


def deployments(*, cron: str, timezone: str) -> tuple[Any, ...]:
    """The deployments: one run of each at a time, further ones wait."""
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    schedule = Cron(cron, timezone=timezone, slug="baseline")
    return (
        experiment.to_deployment("experiment", concurrency_limit=one, entrypoint_type=EntrypointType.MODULE_PATH, tags=["tidegauge"]),
        baseline_long.to_deployment(
            "baseline-long", schedule=schedule, concurrency_limit=one, entrypoint_type=EntrypointType.MODULE_PATH, tags=["tidegauge"]
        ),
        evaluate.to_deployment("evaluate", entrypoint_type=EntrypointType.MODULE_PATH, tags=["tidegauge"]),
    )


def serve_flows(store: Path, choice: ServerChoice, *, cron: str, timezone: str, port: int, say: Callable[[str], None]) -> int:
    """Serve until a signal; starts a server on loopback when none is named."""
    if choice.url is not None:
        return _serve(choice.url, cron, timezone, say)
    with own_server(store, port) as url:
        return _serve(url, cron, timezone, say)


def _serve(url: str, cron: str, timezone: str, say: Callable[[str], None]) -> int:
    say(f"Prefect UI: {url.removesuffix('/api')}  (deployments: experiment, baseline-long, evaluate; Ctrl-C ends)")
    serve(*deployments(cron=cron, timezone=timezone), limit=1, print_starting_message=False)
    return 0


@contextmanager
def own_server(store: Path, port: int) -> Iterator[str]:
    """
    A Prefect server on loopback over the store's database; its API address.

    Raises:
        PreflightError: The port is taken, or it did not answer in time.
    """
    url = f"http://127.0.0.1:{port}/api"
    if _answers(url):
        raise PreflightError(f"something answers on port {port} already", next_step=f"PREFECT_API_URL={url} tidegauge serve, or --port N")
    argv = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    child = start_child(argv, output=store / "prefect-server.log", env={**os.environ, "PREFECT_UI_API_URL": url})
    try:
        _wait(child, url, store)
        os.environ["PREFECT_API_URL"] = url  # flow runs are processes of their own and must find the same server
        with temporary_settings({PREFECT_API_URL: url}):
            yield url
    finally:
        stop_group(child, grace_s=10)


def _wait(child: "subprocess.Popen[bytes]", url: str, store: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not _answers(url):
        if child.poll() is not None or time.monotonic() > deadline:
            raise PreflightError("the Prefect server did not start", next_step=f"see {store / 'prefect-server.log'}")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=1.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
