"""What is checked before a fault may begin; nothing here writes or starts anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import PreflightError
from tasks.base.process import ProcessId, stat_of
from tasks.faults.catalogue import KINDS, nearest
from tasks.faults.kind import Act, Aim, FaultKind, SetRule
from tasks.faults.processes import used_bytes
from tasks.faults.rule_socket import ProxyAbsent, ProxySilent, RuleSocket
from tasks.faults.surface import FaultSurface, ServiceState

LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """A fault to inject now."""

    id: str
    """Unique in the deployment: ``[a-z0-9][a-z0-9-]{0,62}``."""
    kind: str
    target: str
    intensity: float
    """Share of the kind's full strength, above 0 and at most 1."""
    duration_s: float
    placebo: bool = False
    """Walk the whole way without effect."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What passed: the target's main process and what is to be done."""

    main: ProcessId
    act: Act


def check(surface: FaultSurface, request: FaultRequest) -> Checked:
    """
    Decide what *request* does, or refuse it.

    Raises:
        PreflightError: With every reason.
    """
    problems = request_problems(request)
    services = surface.services()
    state = services.get(request.target)
    if state is None:
        problems.append(f"there is no service {request.target!r} here{nearest(request.target, services)}")
    elif state.entry:
        problems.append(f"{request.target} is the entry service; faults never hit it")
    if problems or state is None:
        raise refused(problems)
    members = surface.members(request.target)
    main = _main(state, members)
    limit = state.memory_limit_bytes
    aim = Aim(request.target, main, used_bytes(members), limit, os.cpu_count() or 1, request.duration_s)
    act = KINDS[request.kind].act(aim, request.intensity, request.placebo)
    if isinstance(act, SetRule):
        _proxy_has(surface.proxy_socket, state)
    return Checked(main, act)


def refused(problems: list[str]) -> PreflightError:
    """One error with every reason."""
    return PreflightError("the fault was refused: " + "; ".join(problems), next_step="tidegauge faults list")


def request_problems(request: FaultRequest, kinds: Mapping[str, FaultKind] = KINDS) -> list[str]:
    """What is wrong with *request* whatever runs; *kinds* are those that can be injected there."""
    problems = []
    if request.kind not in kinds:
        problems.append(f"there is no fault kind {request.kind!r}{nearest(request.kind, kinds)}")
    if not 0 < request.intensity <= 1:
        problems.append(f"the intensity must be above 0 and at most 1, not {request.intensity!r}")
    if not 0 < request.duration_s <= LONGEST_S:
        problems.append(f"the duration must be above 0 s and at most {LONGEST_S:.0f} s, not {request.duration_s!r}")
    return problems


def _main(state: ServiceState, members: tuple[ProcessId, ...]) -> ProcessId:
    """The target's main process, when it is alive, ours, and the leader of its own group."""
    main, name = state.main, state.name
    if main is None or not members or not main.alive():
        raise refused([f"{name} is not running: nothing would be hit"])
    stat = stat_of(main.pid)
    if main not in members or stat is None or stat.group != main.pid:
        raise refused([f"process {main.pid} does not lead the process group of {name}"])
    if Path(f"/proc/{main.pid}").stat().st_uid != os.getuid() or main.pid in (os.getpid(), os.getpgrp()):
        raise refused([f"process {main.pid} is not the deployment's"])
    return main


def _proxy_has(socket: Path, state: ServiceState) -> None:
    """
    Make sure that the proxy serves *state*'s ports.

    Raises:
        PreflightError: There is no proxy, or it serves something else there.
    """
    try:
        found = RuleSocket(socket).services().get(state.name)
    except (ProxyAbsent, ProxySilent) as error:
        raise refused([str(error)]) from error
    if found is None or (found["port"], found["upstream_port"]) != (state.proxy_port, state.port):
        raise refused([f"the fault proxy does not stand before {state.name} on port {state.proxy_port}"])
