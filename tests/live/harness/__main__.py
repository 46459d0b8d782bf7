"""
``python -m tests.live.harness up|down|status|kubeconfig [--state DIR]``.

``up`` prints what it does on standard error, and nothing when the cluster is up already. ``status`` prints JSON and ends with
0 when it is up, with 1 otherwise; ``kubeconfig`` prints the configuration. Exit codes are those of ``tasks.base.errors``: 3 when
something is missing, 7 when another one is at work, 10 when ``down`` left something behind, each line of it on standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.base.errors import IncompleteError, LeftBehindError, LockedError, TidegaugeError
from tests.live.cache import cache_root
from tests.live.harness.down import down
from tests.live.harness.layout import DEFAULT_STATE, Layout
from tests.live.harness.status import status
from tests.live.harness.up import up

LOCK_PATIENCE_S = 60


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.live.harness", description="a single-node Kubernetes, without a trace")
    made.add_argument("verb", choices=sorted(VERBS))
    made.add_argument("--state", type=Path, default=DEFAULT_STATE, metavar="DIR", help="folder of the cluster (default: %(default)s)")
    return made


def do_up(layout: Layout) -> int:
    """Bring it up unless it is."""
    with _alone():
        if status(layout).up:
            say("it is up already")
            return 0
        took_s = up(layout, say)
    say(f"up in {took_s:.1f} s; export KUBECONFIG={layout.kubeconfig}")
    return 0


def do_down(layout: Layout) -> int:
    """Take it down; says what is left."""
    begun_s = time.monotonic()
    with _alone():
        left = down(layout)
    for line in left:
        print(line)
    if left:
        raise LeftBehindError(
            f"{len(left)} things are left of the cluster", next_step="see the list above, remove them, and take it down again"
        )
    say(f"nothing is left after {time.monotonic() - begun_s:.1f} s")
    return 0


def do_status(layout: Layout) -> int:
    """Print what is up."""
    found = status(layout)
    print(json.dumps(found.to_json(), indent=1))
    return 0 if found.up else 1


def do_kubeconfig(layout: Layout) -> int:
    """Print the configuration for programs of this machine."""
    if not layout.kubeconfig.is_file():
        raise IncompleteError("no cluster is up", next_step="python -m tests.live.harness up")
    print(layout.kubeconfig.read_text(), end="")
    return 0


VERBS: dict[str, Callable[[Layout], int]] = {"up": do_up, "down": do_down, "status": do_status, "kubeconfig": do_kubeconfig}


def say(line: str) -> None:
    """Tell what happens."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One at a time on this machine, since there is one socket of containerd."""
    cache_root().mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache_root() / ".harness.lock", timeout=LOCK_PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError("another command of the harness is at work", next_step="wait for it, then try again") from None
    try:
        yield
    finally:
        lock.release()


def main() -> int:
    """Do what was asked for; the exit code."""
    wanted = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        return VERBS[wanted.verb](Layout(wanted.state.resolve()))
    except TidegaugeError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
