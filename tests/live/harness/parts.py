"""One program of a cluster that is up, away for a while: killed and started again, or stopped where it stands."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessId
from tests.live.artifacts import binaries
from tests.live.harness import programs
from tests.live.harness.layout import Layout
from tests.live.harness.processes import Program, inside, kill, remembered, start
from tests.live.harness.waits import succeeds, until

PARTS: dict[str, Callable[[Layout, Path], Program]] = {
    "apiserver": programs.api_server,
    "controllers": programs.controllers,
    "kubelet": programs.kubelet,
    "scheduler": programs.scheduler,
}
"""What can be away while the rest goes on."""


def process_of(layout: Layout, part: str) -> ProcessId:
    """
    The living process of *part*.

    Raises:
        PreflightError: There is none: the cluster is not up, or not this harness's.
    """
    found = remembered(layout).get(part) if layout.state.is_dir() else None
    if found is None or not found.alive():
        raise PreflightError(f"no {part} of {layout.state} is up", next_step="python -m tests.live.harness up")
    return found


@contextmanager
def killed(layout: Layout, part: str) -> Iterator[None]:
    """Nobody listens inside; afterwards it is up and ready again, with the same settings."""
    folder = binaries()
    assert folder is not None
    program = PARTS[part](layout, folder)
    kill([process_of(layout, part)])
    try:
        yield
    finally:
        start(layout, program)
        if program.ready is not None:
            ready = inside(layout, program.ready)
            until(lambda: succeeds(ready), program.ready_within_s, f"{part} is ready again")


@contextmanager
def stopped(layout: Layout, part: str) -> Iterator[None]:
    """Its connections stay open inside, and nothing is answered; afterwards it goes on where it stopped."""
    process = process_of(layout, part)
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)
