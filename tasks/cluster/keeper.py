"""
Keeps the processes of a deployment running: starts, waits, restarts, limits, stops.

Every process that it starts is its own child, so that a pid stays theirs until it is waited for; the group of a main
process is always killed *before* that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.process import ProcessId, ProcessSpec
from tasks.cluster import procfs
from tasks.cluster.accounting import Accounts, rusage_counters
from tasks.cluster.child import Start, start
from tasks.cluster.control import RefusedError
from tasks.cluster.deployment import Deployment
from tasks.cluster.kept import Kept
from tasks.cluster.logs import Tail
from tasks.cluster.marks import Mark, environment, living
from tasks.cluster.state import Events, ProcessState

SETTLE_S = 0.02


@dataclass(slots=True)
class Keeper:
    """The processes of *deployment*; *changed* is called after each start and end, *soon* to be called again in a moment."""

    state_dir: Path
    deployment: Deployment
    tied: bool
    accounts: Accounts
    events: Events
    changed: Callable[[], None]
    watch: Callable[[int], None]
    """Given the pid of each child: see to it that :meth:`reap` is called when it ends."""
    soon: Callable[[float, Callable[[], None]], None]
    kept: dict[str, Kept] = field(default_factory=dict)
    ending: bool = False

    def add(self, spec: ProcessSpec) -> None:
        """Start *spec* and keep it running."""
        if self.ending or spec.name in self.kept:
            raise RefusedError(f"{spec.name} is there already" if spec.name in self.kept else "the deployment is being ended")
        tail = Tail(self.state_dir / "logs", spec.name)
        self.kept[spec.name] = Kept(spec, tail, self.deployment.restart)
        self._start(self.kept[spec.name])

    def stop(self, name: str, grace_s: float) -> None:
        """Ask *name* to end, for good; after *grace_s* it is killed."""
        kept = self.kept.get(name)
        if kept is None or not kept.wanted:
            return
        kept.wanted = False
        if kept.main is not None:
            kept.status, kept.kill_s = "stopping", time.monotonic() + grace_s
            for signum in (signal.SIGTERM, signal.SIGCONT):  # a stopped process takes no SIGTERM before it goes on
                self._signal(kept, signum)
            self.soon(grace_s, self.advance)
        self.changed()
        self.soon(0.0, self.advance)

    def end(self, grace_s: float) -> None:
        """Ask everything to end: services first, the harness after them."""
        self.ending = True
        services = [name for name, kept in self.kept.items() if kept.spec.role == "service"]
        for name in services or list(self.kept):
            self.stop(name, grace_s if services else min(grace_s, 1.0))

    def kill_all(self, deadline_s: float = 5.0) -> None:
        """SIGKILL to every group and every process of the deployment, guards excepted; returns when they are gone."""
        self.ending = True
        until = time.monotonic() + deadline_s
        for kept in self.kept.values():
            kept.wanted = False
            self._signal(kept, signal.SIGKILL)
        while time.monotonic() < until:
            self.reap()
            left = [one for one in living(self.deployment.token) if one.mark.kind not in ("guard", "supervisor")]
            if not left and all(kept.main is None for kept in self.kept.values()):
                break
            for one in left:
                one.id.signal(signal.SIGKILL)
            time.sleep(0.005)
        self.advance()

    def spawn_actuator(self, service: str, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in the group of *service*; it ends with the service at the latest."""
        kept = self.kept.get(service)
        if kept is None or kept.spec.role != "service":
            raise RefusedError(f"there is no service {service!r}; there are: {', '.join(self.services())}")
        if kept.main is None or kept.status != "running":
            raise RefusedError(f"{service} does not run now ({kept.status})")
        return self._spawn(Mark(service, "actuator"), argv, kept.main.pid)

    def spawn_guard(self, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in a session of its own; nothing here ends it."""
        return self._spawn(Mark("all", "guard"), argv, None)

    def services(self) -> tuple[str, ...]:
        """Names of the services, in alphabetical order."""
        return tuple(sorted(name for name, kept in self.kept.items() if kept.spec.role == "service"))

    def states(self) -> tuple[ProcessState, ...]:
        """All processes, in alphabetical order."""
        now, public = time.monotonic(), self.deployment.proxy_ports
        return tuple(kept.state(now, public.get(name)) for name, kept in sorted(self.kept.items()))

    def reap(self) -> None:
        """Wait for every child that has ended."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            self._ended(ended.si_pid)

    def advance(self) -> None:
        """Whatever is due: kills after patience, starts after a wait, farewells."""
        now = time.monotonic()
        for name, kept in list(self.kept.items()):
            if kept.main is not None and kept.kill_s is not None and now >= kept.kill_s:
                self._signal(kept, signal.SIGKILL)
            if kept.status == "clearing":
                self._clear(kept)
            if kept.status == "waiting" and not kept.wanted:
                self._part(name, kept)
            elif kept.status == "waiting" and now >= kept.due_s and not self.ending:
                self._start(kept)
        if self.ending and self.kept and all(kept.spec.role != "service" for kept in self.kept.values()):
            self.end(1.0)

    def enforce_limits(self) -> None:
        """Kill what uses more memory (PSS) than its limit; children that the last refresh did not see are not counted yet."""
        for name, kept in self.kept.items():
            limit = kept.spec.memory_limit_bytes
            if limit is None or kept.status != "running" or kept.doomed is not None:
                continue
            if self.accounts.resident_bytes(name) <= limit * 0.95:  # the quick figure may be a little stale
                continue
            self.accounts.refresh()
            used = sum(procfs.memory(one.id.pid).pss_bytes for one in self.accounts.in_present_life(name))
            if used > limit:
                kept.doomed = "OOMKilled"
                kept.oom_events += 1
                self.events.add("oom_killed", name, memory_bytes=used, memory_limit_bytes=limit)
                self._signal(kept, signal.SIGKILL)

    def _start(self, kept: Kept) -> None:
        name = kept.spec.name
        if kept.starts:
            kept.tail.renew()
        kept.starts += 1
        kept.started_s, kept.started_wall_s = time.monotonic(), time.time()
        mark = Mark(name, kept.spec.role)
        self.accounts.open(name)
        try:
            folder = self._working_dir(name)
            pid = start(Start(kept.spec.argv, self._environment(mark, kept.spec.env), folder, kept.tail.sink, 0, self.tied))
        except OSError as error:
            kept.tail.note(f"[tidegauge: cannot start {kept.spec.argv[0]}: {error.strerror or error}]")
            kept.ended(time.monotonic(), 127)
            self.events.add("start_failed", name, error=str(error), next_start_s=round(kept.due_s - time.monotonic(), 3))
            self.soon(0.0, self.advance)
        else:
            kept.main = self.accounts.adopt(pid, mark)
            kept.status = "running"
            self.watch(pid)
            self.events.add("restarted" if kept.restarts else "started", name, pid=pid, start_ticks=kept.main.start_ticks)
        self.changed()

    def _spawn(self, mark: Mark, argv: Sequence[str], group: int | None) -> ProcessId:
        if self.ending:
            raise RefusedError("the deployment is being ended")
        output = os.open(self.state_dir / f"{mark.kind}s.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            tied = self.tied and group is not None
            pid = start(Start(argv, self._environment(mark, {}), self.state_dir, output, group, tied))
        except OSError as error:
            raise RefusedError(f"cannot start {argv[0]!r}: {error.strerror or error}") from error
        finally:
            os.close(output)
        self.watch(pid)
        return self.accounts.adopt(pid, mark)

    def _environment(self, mark: Mark, extra: Mapping[str, str]) -> dict[str, str]:
        return {**self.deployment.environment, **extra, **environment(self.deployment.token, mark)}

    def _working_dir(self, name: str) -> Path:
        if self.deployment.working_dir is not None:
            return Path(self.deployment.working_dir)
        folder = self.state_dir / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _ended(self, pid: int) -> None:
        self.accounts.refresh()
        kept = next((one for one in self.kept.values() if one.main is not None and one.main.pid == pid), None)
        if kept is not None:
            self._signal(kept, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        process = self.accounts.reap(pid, rusage_counters(usage.ru_utime + usage.ru_stime, usage.ru_inblock, usage.ru_oublock))
        code = os.waitstatus_to_exitcode(status)
        if kept is not None:
            ran_s = time.monotonic() - kept.started_s
            reason = kept.ended(time.monotonic(), code)
            kept.tail.drain()
            wait_s = round(kept.due_s - time.monotonic(), 3) if kept.wanted else None
            self.events.add("exited", kept.spec.name, code=code, reason=reason, ran_s=round(ran_s, 3), next_start_s=wait_s)
            self.changed()
            self.soon(0.0, self.advance)
        elif process is not None and process.mark.kind in ("actuator", "guard"):
            self.events.add(f"{process.mark.kind}_ended", process.mark.process, pid=pid, code=code)

    def _signal(self, kept: Kept, signum: int) -> None:
        """Send *signum* to the group of *kept*, and to those of its processes that have left the group."""
        if kept.main is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(kept.main.pid, signum)
        for one in self.accounts.in_present_life(kept.spec.name):
            if kept.main is None or one.stat.group != kept.main.pid:
                one.id.signal(signum)

    def _clear(self, kept: Kept) -> None:
        """Wait until nothing of the life before is left: it may hold the port."""
        self.accounts.refresh()
        if self.accounts.in_present_life(kept.spec.name):
            self._signal(kept, signal.SIGKILL)
            self.soon(SETTLE_S, self._again)
            return
        kept.status = "waiting"
        if kept.wanted:
            self.soon(max(0.0, kept.due_s - time.monotonic()), self.advance)

    def _again(self) -> None:
        self.reap()
        self.advance()

    def _part(self, name: str, kept: Kept) -> None:
        kept.tail.close()
        del self.kept[name]
        self.accounts.open_accounts.pop(name, None)
        self.events.add("removed", name)
        self.changed()
