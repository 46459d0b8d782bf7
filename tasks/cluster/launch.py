"""Starting a supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tasks
from tasks.base.errors import LockedError, PreflightError
from tasks.cluster import marks
from tasks.cluster.control import SOCKET_FILE
from tasks.cluster.deployment import Deployment
from tasks.cluster.lock import take_lock
from tasks.cluster.remains import remains, supervisor_of
from tasks.cluster.state import STATE_FILE, State

START_PATIENCE_S = 20.0
POLL_S = 0.01


@dataclass(slots=True)
class Launched:
    """A supervisor that this process started; closing *owner* (or the end of this process) ends it."""

    child: subprocess.Popen[bytes] | None
    """None when nobody here waits for it."""
    owner: int | None


def minimal_environment() -> dict[str, str]:
    """What every process gets of this one's environment: nothing that may be a secret, and what Python needs to find us."""
    found = {key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH") if key in os.environ}
    root = Path(tasks.__path__[0]).resolve().parent
    if root.name not in ("site-packages", "dist-packages"):  # an installed package is found without help
        found["PYTHONPATH"] = str(root)
    return {"PATH": os.defpath, **found, "LANG": os.environ.get("LANG") or "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def launch(state_dir: Path, deployment: Deployment, *, owned: bool, ttl_s: float | None) -> Launched:
    """
    Start a supervisor for *deployment* in *state_dir* and wait until it has started all processes.

    Raises:
        LockedError: One runs there already.
        PreflightError: An earlier one left processes there, or the supervisor did not start.
    """
    _prepare(state_dir)
    lock = take_lock(state_dir)
    if lock is None:
        raise _locked(state_dir)
    try:
        _refuse_remains(state_dir)
        for name in (STATE_FILE, SOCKET_FILE):
            (state_dir / name).unlink(missing_ok=True)
        deployment.write(state_dir)
        launched = _spawn(state_dir, deployment, lock, owned, ttl_s)
    finally:
        os.close(lock)
    _await_state(state_dir, deployment.token, launched)
    if not owned and launched.child is not None:
        launched.child.returncode = 0  # it is to outlive this process; the module need not warn about it
        launched.child = None
    return launched


def _prepare(state_dir: Path) -> None:
    try:
        for folder in (state_dir, *(state_dir / name for name in ("logs", "data", "journal"))):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state_dir.chmod(0o700)
    except OSError as error:
        raise PreflightError(
            f"cannot use {state_dir} as a state folder: {error.strerror or error}", next_step="name another folder"
        ) from error


def _locked(state_dir: Path) -> LockedError:
    holder = supervisor_of(state_dir)
    who = "" if holder is None else f" (supervisor: pid {holder.pid})"
    return LockedError(f"a deployment runs in {state_dir} already{who}", next_step="tidegauge down")


def _refuse_remains(state_dir: Path) -> None:
    left = remains(state_dir)
    if left:
        names = ", ".join(f"{one.name} (pid {one.id.pid})" for one in left)
        raise PreflightError(f"an earlier deployment in {state_dir} left behind: {names}", next_step="tidegauge down")


def _spawn(state_dir: Path, deployment: Deployment, lock: int, owned: bool, ttl_s: float | None) -> Launched:
    ours, theirs = None, None
    if owned:
        theirs, ours = os.pipe()
    argv = [sys.executable, "-P", "-m", "tasks.cluster.supervisor", str(state_dir), "--lock-fd", str(lock)]
    argv += [] if theirs is None else ["--owner-fd", str(theirs)]
    argv += [] if ttl_s is None else ["--ttl", repr(ttl_s)]
    try:
        with (state_dir / "supervisor.log").open("ab") as output:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**deployment.environment, **marks.environment(deployment.token, marks.Mark("supervisor", "supervisor"))},
                cwd=state_dir,
                start_new_session=True,
                pass_fds=[one for one in (lock, theirs) if one is not None],
            )
    finally:
        if theirs is not None:
            os.close(theirs)
    return Launched(child, ours)


def _await_state(state_dir: Path, token: str, launched: Launched) -> None:
    until = time.monotonic() + START_PATIENCE_S
    while (state := State.read(state_dir)) is None or state.token != token:
        ended = launched.child is not None and launched.child.poll() is not None
        if ended or time.monotonic() > until:
            if launched.owner is not None:
                os.close(launched.owner)
            lines = (state_dir / "supervisor.log").read_text(errors="replace").splitlines()[-3:]
            raise PreflightError(
                f"the supervisor in {state_dir} {'ended at once' if ended else 'does not start'}: " + " / ".join(lines),
                next_step=f"see {state_dir / 'supervisor.log'}",
            )
        time.sleep(POLL_S)
