"""Waiting until a deployment answers; after that a service that does not answer is data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.progress import Progress, Report
from tasks.cluster import control
from tasks.cluster.deployment import Deployment
from tasks.cluster.ports import answers
from tasks.cluster.state import ProcessState, State

POLL_S = 0.05
PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Something of process *name* that has to answer; *port* None: running is enough."""

    name: str
    port: int | None
    path: str | None

    def passes(self) -> bool:
        """Whether it answers now."""
        return self.port is None or answers(self.port, self.path, PROBE_TIMEOUT_S)


def probes(deployment: Deployment) -> tuple[Probe, ...]:
    """What has to answer: each process, and each public port of a proxy."""
    own = [Probe(spec.name, spec.port, spec.ready_path) for spec in deployment.processes]
    proxies = [spec.name for spec in deployment.processes if spec.role == "harness"]
    public = [Probe(proxies[0], port, None) for port in deployment.proxy_ports.values()] if proxies else []
    return (*own, *public)


def wait_ready(state_dir: Path, timeout_s: float, report: Report) -> None:
    """
    Return when every process of the deployment in *state_dir* runs and answers.

    Raises:
        PreflightError: One did not within *timeout_s*, or cannot any more; says which, with the last lines of its output.
    """
    began = time.monotonic()
    waiting = set(probes(Deployment.read(state_dir)))
    total = len(waiting)
    with ThreadPoolExecutor(max_workers=8) as pool:
        while True:
            found = _states(state_dir)
            candidates = [one for one in waiting if (state := found.get(one.name)) is not None and state.status == "running"]
            waiting -= {one for one, passed in zip(candidates, pool.map(Probe.passes, candidates), strict=True) if passed}
            elapsed = time.monotonic() - began
            report(Progress("deploy", _text(waiting), total - len(waiting), total, "processes"))
            ended = sorted(name for name, state in found.items() if state.status != "running")
            if not waiting and not ended:
                return
            hopeless = [name for name in ended if (found[name].next_start_s or 0.0) > timeout_s - elapsed]
            if hopeless or elapsed > timeout_s:
                late = hopeless or sorted({one.name for one in waiting}) or ended
                raise _not_ready(state_dir, late, found, timeout_s)
            time.sleep(POLL_S)


def _states(state_dir: Path) -> Mapping[str, ProcessState]:
    state = State.from_json(control.ask(state_dir, "status"))
    return {one.name: one for one in state.processes}


def _text(waiting: set[Probe]) -> str:
    names = sorted({one.name for one in waiting})
    return f"waiting for {', '.join(names)}" if names else "everything answers"


def _not_ready(state_dir: Path, late: Sequence[str], found: Mapping[str, ProcessState], timeout_s: float) -> PreflightError:
    name = late[0]
    state = found.get(name)
    how = "is not there"
    if state is not None and state.status == "running":
        how = f"runs, but does not answer on port {state.port}" if state.port is not None else "runs, but does not answer"
    elif state is not None:
        how = f"ended {state.restarts + 1} times ({state.last_reason})"
    others = f" (nor did {', '.join(late[1:])})" if late[1:] else ""
    lines = control.ask(state_dir, "log_tail", name=name)["lines"][-8:] if state is not None else []
    said = "".join(f"\n    {line}" for line in lines) or " nothing"
    return PreflightError(
        f"{name} did not get ready within {timeout_s:g} s{others}: it {how}; its last output:{said}",
        next_step=f"mend its command or what it needs; all it said: zcat {state_dir / 'logs' / name}.log.gz",
    )
