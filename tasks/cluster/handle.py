"""A running deployment on this machine: what recordings and faults work with."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tasks.base.errors import PreflightError, TidegaugeError
from tasks.base.process import ProcessId, ProcessSpec
from tasks.base.progress import Report, silent
from tasks.cluster import control
from tasks.cluster.config import LocalCluster
from tasks.cluster.deployment import Deployment, RestartPolicy, checked
from tasks.cluster.launch import Launched, launch, minimal_environment
from tasks.cluster.ports import require_free
from tasks.cluster.provider import Leftover
from tasks.cluster.readiness import wait_ready
from tasks.cluster.remains import remains, supervisor_of, tear_down
from tasks.cluster.state import ProcessState, State

PROXY_SOCKET_FILE = "proxy.sock"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service of a running deployment, now."""

    name: str
    main: ProcessId | None
    """None while it does not run."""
    port: int
    """Its own loopback port, past any proxy."""
    proxy_port: int
    """The port that callers know; its own one where there is no proxy."""
    memory_limit_bytes: int | None
    restarts: int
    """Starts after the first."""
    entry: bool
    """Whether users enter here."""


@dataclass(slots=True)
class LocalHandle:
    """A deployment on this machine whose supervisor runs."""

    state_dir: Path
    _launched: Launched | None = field(default=None, repr=False)

    @classmethod
    def attach(cls, state_dir: Path) -> Self:
        """
        The deployment that runs in *state_dir*.

        Raises:
            PreflightError: None does; names what an earlier one left there.
        """
        state_dir = state_dir.resolve()
        if supervisor_of(state_dir) is None:
            left = ", ".join(f"{one.name} ({one.identity})" for one in leftovers(state_dir))
            if left:
                raise PreflightError(f"the supervisor in {state_dir} is dead and left behind: {left}", next_step="tidegauge down")
            raise PreflightError(f"nothing runs in {state_dir}", next_step="tidegauge up FILE")
        return cls(state_dir)

    @classmethod
    def start(
        cls,
        state_dir: Path,
        specs: Iterable[ProcessSpec],
        *,
        entry: str | None,
        proxy_ports: Mapping[str, int],
        owner_pipe: bool,
        settings: LocalCluster,
        working_dir: Path | None = None,
    ) -> Self:
        """
        Start a supervisor and, through it, *specs* (services and harness); returns when all are started, not yet ready.

        Args:
            state_dir: A folder for this deployment, made if absent; what logs were there are begun anew.
            specs: What to keep running.
            entry: The service that users enter by.
            proxy_ports: The public port of each service that has a proxy before it.
            owner_pipe: True: everything is killed when this process ends, however it does. False: it stays until
                :meth:`down` or ``settings.ttl_s``.
            settings: Restarts and patience.
            working_dir: Where processes are started; None: each in a folder of its own, ``data/<name>``.

        Raises:
            PreflightError: A name, program or port is wrong or taken; nothing was started.
            LockedError: A deployment runs there already.
        """
        state_dir = state_dir.resolve()
        deployment = deployment_of(specs, settings, entry=entry, proxy_ports=proxy_ports, working_dir=working_dir)
        launched = launch(state_dir, deployment, owned=owner_pipe, ttl_s=None if owner_pipe else settings.ttl_s)
        return cls(state_dir, launched)

    @property
    def proxy_socket(self) -> Path:
        """Where the fault proxy takes its rules."""
        return self.state_dir / PROXY_SOCKET_FILE

    @property
    def kubelet_url(self) -> str:
        """Root of ``/metrics/cadvisor``, ``/metrics/node`` and ``/metrics/harness``."""
        return self.state().kubelet_url

    def state(self) -> State:
        """
        All that the supervisor knows, now.

        Raises:
            PreflightError: It is dead or does not answer; says what is left.
        """
        return State.from_json(self._ask("status"))

    def wait_ready(self, timeout_s: float, report: Report = silent) -> None:
        """
        Return when every process answers.

        Raises:
            PreflightError: One does not within *timeout_s*; names it, with the last lines of its output.
        """
        wait_ready(self.state_dir, timeout_s, report)

    def services(self) -> Mapping[str, ServiceState]:
        """The services, harness excluded, in alphabetical order."""
        state = self.state()
        return {one.name: _service(one, state.entry) for one in state.processes if one.role == "service"}

    def members(self, service: str) -> tuple[ProcessId, ...]:
        """
        Living processes of *service*, actuators excluded, stopped ones included; empty while it does not run.

        Raises:
            PreflightError: There is no such service.
        """
        return tuple(ProcessId(pid, ticks) for pid, ticks in self._ask("members", service=service)["members"])

    def spawn_actuator(self, service: str, argv: Sequence[str]) -> ProcessId:
        """
        Start *argv* in the process group of *service*; it ends with the service at the latest.

        Raises:
            PreflightError: There is no such service, it does not run now, or the program cannot be started.
        """
        return _process(self._ask("spawn_actuator", service=service, argv=list(argv)))

    def spawn_guard(self, argv: Sequence[str]) -> ProcessId:
        """
        Start *argv* in a session of its own: no teardown and no death ends it.

        Raises:
            PreflightError: The program cannot be started.
        """
        return _process(self._ask("spawn_guard", argv=list(argv)))

    def leftovers(self) -> tuple[Leftover, ...]:
        """Processes that nobody looks after, since the supervisor is dead; empty while it lives."""
        return leftovers(self.state_dir)

    def down(self) -> tuple[Leftover, ...]:
        """End everything but guards and say what is still there; does nothing the second time."""
        left = take_down(self.state_dir)
        launched, self._launched = self._launched, None
        if launched is not None:
            if launched.owner is not None:
                os.close(launched.owner)
            if launched.child is not None:
                launched.child.wait()
        return left

    def _ask(self, do: str, **fields: Any) -> dict[str, Any]:
        try:
            return control.ask(self.state_dir, do, **fields)
        except PreflightError:
            LocalHandle.attach(self.state_dir)  # says so, and what is left, when it is dead
            raise


def leftovers(state_dir: Path) -> tuple[Leftover, ...]:
    """Processes of the deployment in *state_dir* that run though its supervisor is dead; empty while it lives."""
    if supervisor_of(state_dir) is not None:
        return ()
    return tuple(one.described("its supervisor is dead") for one in remains(state_dir))


def take_down(state_dir: Path) -> tuple[Leftover, ...]:
    """End everything of the deployment in *state_dir* but guards, whether its supervisor lives or not; idempotent."""
    try:
        grace_s = Deployment.read(state_dir).stop_grace_s
    except TidegaugeError:
        grace_s = Deployment("", ()).stop_grace_s
    return tear_down(state_dir, grace_s=grace_s)


def deployment_of(
    specs: Iterable[ProcessSpec],
    settings: LocalCluster,
    *,
    entry: str | None = None,
    proxy_ports: Mapping[str, int] | None = None,
    working_dir: Path | None = None,
) -> Deployment:
    """
    What a supervisor is told, with a new token.

    Raises:
        PreflightError: A process cannot be started as it is described, or a port is taken.
    """
    deployment = Deployment(
        token=secrets.token_hex(16),
        processes=checked(specs),
        entry=entry,
        proxy_ports=dict(proxy_ports or {}),
        restart=RestartPolicy(**settings.restart.model_dump()),
        stop_grace_s=settings.stop_grace_s,
        working_dir=None if working_dir is None else str(working_dir.resolve()),
        environment=minimal_environment(),
    )
    own = [(spec.name, spec.port) for spec in deployment.processes if spec.port is not None]
    taken = {port for _, port in own}
    require_free([*own, *((f"the proxy of {name}", port) for name, port in deployment.proxy_ports.items() if port not in taken)])
    return deployment


def _service(found: ProcessState, entry: str | None) -> ServiceState:
    port = found.port or 0
    return ServiceState(
        name=found.name,
        main=found.main,
        port=port,
        proxy_port=found.proxy_port or port,
        memory_limit_bytes=found.memory_limit_bytes,
        restarts=found.restarts,
        entry=found.name == entry,
    )


def _process(reply: Mapping[str, Any]) -> ProcessId:
    return ProcessId(int(reply["pid"]), int(reply["start_ticks"]))
