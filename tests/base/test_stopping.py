"""Which signals end a command, and which must not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal
from tasks.base.errors import Cancelled
from tasks.base.stopping import interruptible, stoppable
try:
    with stoppable(), interruptible():
        os.kill(os.getpid(), {signum})
        print("went on")
except Cancelled as error:
    print("cancelled", error.code)
"""


def ended(signum: int, disposition: signal.Handlers) -> str:
    """What a process that got *signum* at its work says, started with hang-ups *disposition*."""

    def before() -> None:
        signal.signal(signal.SIGHUP, disposition)

    argv = [sys.executable, "-c", PROGRAM.format(signum=int(signum))]
    return subprocess.run(
        argv, preexec_fn=before, capture_output=True, text=True, timeout=30, check=True, env=dict(os.environ)
    ).stdout.strip()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels(signum):
    """The exit code is the one that a shell reports."""
    assert ended(signum, signal.SIG_DFL) == f"cancelled {128 + signum}"


def test_under_nohup_a_closed_terminal_is_no_wish_to_stop():
    """A hang-up that was ignored from the start stays ignored; the others still count."""
    assert ended(signal.SIGHUP, signal.SIG_IGN) == "went on"
    assert ended(signal.SIGTERM, signal.SIG_IGN) == "cancelled 143"
