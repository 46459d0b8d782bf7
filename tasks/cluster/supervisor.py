"""
``python -m tasks.cluster.supervisor STATE_DIR [--owner-fd N] [--lock-fd N] [--ttl S]``: keeps the processes of one deployment running.

It reads ``spec.json``, becomes a session leader and the parent of all orphans below it, and serves

- ``control.sock``: requests of :mod:`tasks.cluster.local` (one JSON object a line),
- ``/metrics/cadvisor``, ``/metrics/node``, ``/metrics/harness`` on a loopback port,

and writes ``state.json``, ``events.jsonl`` and ``logs/``. It ends by the request ``shutdown``, SIGTERM, SIGINT or SIGHUP
(in order; at once by a second one), by the end of its time to live, or when the pipe to its owner closes: then everything but guards is
killed. Light on purpose: no third-party import, one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.base.errors import StorageError
from tasks.base.process import ProcessId, identify
from tasks.cluster import control, exposition, procfs
from tasks.cluster.accounting import Accounts
from tasks.cluster.child import adopt_orphans
from tasks.cluster.deployment import Deployment, spec_from_json
from tasks.cluster.keeper import Keeper
from tasks.cluster.lock import take_lock
from tasks.cluster.loop import Loop
from tasks.cluster.server import Server, http_answer
from tasks.cluster.state import Events, State

TICK_S = 0.25
REFRESH_S = 0.9
SAME_S = 0.02
"""Pages read within this time of each other show one count."""
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(slots=True)
class Supervisor:
    """A deployment in *state_dir* and all that looks after it."""

    state_dir: Path
    deployment: Deployment
    owner: int | None
    """Descriptor of the pipe whose end is the owner's end; None: nobody owns it."""
    ttl_s: float | None
    loop: Loop = field(default_factory=Loop)
    over: bool = False
    stale: bool = False
    """Whether ``state.json`` is about to be written."""

    counted_s: float = 0.0
    """When the accounts were last refreshed for a page or a tick (monotonic)."""

    keeper: Keeper = field(init=False)
    accounts: Accounts = field(init=False)
    events: Events = field(init=False)
    state: State = field(init=False)
    servers: list[Server] = field(init=False, default_factory=list)

    def run(self) -> None:
        """Start everything and serve until it is over."""
        self._open()
        for spec in self.deployment.processes:
            self.keeper.add(spec)
        self.loop.every(TICK_S, self._tick)
        self.loop.run(lambda: self.over or (self.keeper.ending and not self.keeper.kept))
        self._close()

    def _open(self) -> None:
        me = identify(os.getpid())
        if me is None:
            raise OSError("there is no /proc")
        self.accounts = Accounts(self.deployment.token, me.pid)
        self.events = Events(self.state_dir)
        self.keeper = Keeper(
            state_dir=self.state_dir,
            deployment=self.deployment,
            tied=self.owner is not None,
            accounts=self.accounts,
            events=self.events,
            changed=self._changed,
            watch=self._watch,
            soon=lambda delay_s, act: self.loop.at(time.monotonic() + delay_s, act),
        )
        metrics = socket.create_server(("127.0.0.1", 0))
        now = time.time()
        self.state = State(
            token=self.deployment.token,
            boot_id=procfs.boot_id(),
            supervisor=me,
            kubelet_url=f"http://127.0.0.1:{metrics.getsockname()[1]}",
            entry=self.deployment.entry,
            owned=self.owner is not None,
            started_s=now,
            expires_s=None if self.ttl_s is None else now + self.ttl_s,
            ended_s=None,
            processes=(),
        )
        self.servers = [
            Server(self.loop, metrics, http_answer(self._page)),
            Server(self.loop, control.listen(self.state_dir), control.answer_with(self._handlers())),
        ]
        self._hear_signals()
        if self.owner is not None:
            self.loop.watch(self.owner, self._owner_spoke)
        if self.ttl_s is not None:
            self.loop.at(time.monotonic() + self.ttl_s, lambda: self._end("ttl"))
        self.events.add("supervisor_started", pid=me.pid, token=self.deployment.token)

    def _close(self) -> None:
        self.keeper.kill_all()
        for server in self.servers:
            server.close()
        (self.state_dir / control.SOCKET_FILE).unlink(missing_ok=True)
        self.events.add("supervisor_ended")
        self.state = replace(self.state, ended_s=time.time())
        self._write()

    def _hear_signals(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for signum in _ENDING:
            signal.signal(signum, lambda *_: None)

        def heard() -> None:
            for signum in ours.recv(64):
                if signum in _ENDING:
                    self._end(signal.Signals(signum).name)
            _ = theirs  # lives as long as this function

        self.loop.watch(ours, heard)

    def _end(self, why: str) -> None:
        self.events.add("ending", why=why)
        if self.keeper.ending:
            self.over = True
        self.keeper.end(self.deployment.stop_grace_s)

    def _owner_spoke(self) -> None:
        if self.owner is not None and not os.read(self.owner, 4096):
            self.loop.forget(self.owner)
            self.events.add("owner_gone")
            self.over = True

    def _tick(self) -> None:
        self.keeper.reap()
        self._count(REFRESH_S)
        self.keeper.enforce_limits()
        for kept in self.keeper.kept.values():
            kept.tail.poll()
        self.keeper.advance()

    def _count(self, age_s: float) -> None:
        """Have the accounts refreshed unless they are younger than *age_s*."""
        if time.monotonic() - self.counted_s > age_s:
            self.accounts.refresh()
            self.counted_s = time.monotonic()

    def _watch(self, pid: int) -> None:
        handle = os.pidfd_open(pid)

        def ended() -> None:
            self.loop.forget(handle)
            os.close(handle)
            self.keeper.reap()

        self.loop.watch(handle, ended)

    def _changed(self) -> None:
        if not self.stale:
            self.stale = True
            self.loop.at(time.monotonic(), self._write)

    def _write(self) -> None:
        self.stale = False
        try:
            self._present().write(self.state_dir)
        except StorageError as error:  # a full disk ends no service; the environment still marks what is ours
            sys.stderr.write(f"{error}\n")

    def _present(self) -> State:
        return replace(self.state, processes=self.keeper.states())

    def _page(self, path: str) -> str | None:
        if path == "/metrics/node":
            return exposition.node()
        if path not in ("/metrics/cadvisor", "/metrics/harness"):
            return None
        self._count(SAME_S)
        if path == "/metrics/cadvisor":
            return exposition.containers(self.accounts, self.keeper.kept)
        return exposition.harness(self.accounts, self.keeper.services())

    def _handlers(self) -> dict[str, control.Handler]:
        return {
            "status": lambda _: self._present().to_json(),
            "members": self._members,
            "log_tail": lambda request: {"lines": list(self._named(request).tail.recent)},
            "spawn_actuator": lambda request: _identity(self.keeper.spawn_actuator(_text(request, "service"), _argv(request))),
            "spawn_guard": lambda request: _identity(self.keeper.spawn_guard(_argv(request))),
            "start": self._start,
            "stop": self._stop,
            "shutdown": self._shutdown,
        }

    def _named(self, request: Mapping[str, Any], key: str = "name") -> Any:
        kept = self.keeper.kept.get(_text(request, key))
        if kept is None:
            raise control.RefusedError(f"there is no {request[key]!r}; there are: {', '.join(sorted(self.keeper.kept))}")
        return kept

    def _members(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = self._named(request, "service")
        self.accounts.refresh()
        living = [one for one in self.accounts.in_present_life(kept.spec.name) if one.mark.kind != "actuator"]
        return {"members": [[one.id.pid, one.id.start_ticks] for one in living]}

    def _start(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        spec = spec_from_json(request["spec"])
        self.keeper.add(spec)
        self._remember(self.deployment.with_process(spec))
        return {}

    def _stop(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = _text(request, "name")
        self.keeper.stop(name, self.deployment.stop_grace_s)
        self._remember(self.deployment.without(name))
        return {}

    def _remember(self, deployment: Deployment) -> None:
        self.deployment = self.keeper.deployment = deployment
        deployment.write(self.state_dir)

    def _shutdown(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        self.loop.at(time.monotonic(), lambda: self._end("shutdown"))
        return {}


def _identity(process: ProcessId) -> Mapping[str, Any]:
    return {"pid": process.pid, "start_ticks": process.start_ticks}


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise control.RefusedError(f"`{key}` must be text")
    return value


def _argv(request: Mapping[str, Any]) -> Sequence[str]:
    argv = request.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) and "\0" not in one for one in argv):
        raise control.RefusedError("`argv` must be a list of texts, not empty")
    return argv


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tasks.cluster.supervisor", description="keeps the processes of one deployment running")
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--owner-fd", type=int, help="end of this pipe: kill everything")
    parser.add_argument("--lock-fd", type=int, help="the lock of the state folder, taken already")
    parser.add_argument("--ttl", type=float, help="end after this many seconds")
    options = parser.parse_args()
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # an inherited "ignore" would take every exit status away
    with contextlib.suppress(PermissionError):  # a session leader already
        os.setsid()
    adopt_orphans()
    state_dir = options.state_dir.resolve()
    if options.lock_fd is None and take_lock(state_dir) is None:
        sys.exit(f"another supervisor runs in {state_dir}")
    for handle in (options.lock_fd, options.owner_fd):
        if handle is not None:
            os.set_inheritable(handle, False)
    if options.owner_fd is not None:
        os.set_blocking(options.owner_fd, False)
    Supervisor(state_dir, Deployment.read(state_dir), options.owner_fd, options.ttl).run()


if __name__ == "__main__":
    main()
