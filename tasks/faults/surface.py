"""What a running app looks like to a fault: its services, and two ways to start a process beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tasks.base.process import ProcessId


class ServiceState(Protocol):
    """One service as it stands now."""

    @property
    def name(self) -> str:
        """Unique in the deployment."""
        ...

    @property
    def main(self) -> ProcessId | None:
        """Its main process, leader of the service's process group; None while it is down."""
        ...

    @property
    def port(self) -> int:
        """Its own loopback port."""
        ...

    @property
    def proxy_port(self) -> int:
        """The port that its callers know, served by the fault proxy."""
        ...

    @property
    def memory_limit_bytes(self) -> int | None:
        """Above it the service is killed; None: no limit."""
        ...

    @property
    def entry(self) -> bool:
        """Whether users come in through it; such a service is never a target."""
        ...


class FaultSurface(Protocol):
    """A running deployment that faults can be injected into."""

    @property
    def state_dir(self) -> Path:
        """The deployment's own folder; the fault journal lies in ``journal/`` below it."""
        ...

    @property
    def proxy_socket(self) -> Path:
        """Where the fault proxy takes its rules."""
        ...

    def services(self) -> Mapping[str, ServiceState]:
        """All services by name."""
        ...

    def members(self, service: str) -> tuple[ProcessId, ...]:
        """Living processes of *service*, actuators excluded."""
        ...

    def spawn_actuator(self, service: str, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in the process group and the accounting of *service*."""
        ...

    def spawn_guard(self, argv: Sequence[str]) -> ProcessId:
        """Start *argv* in a session of its own; it outlives everything else of the deployment."""
        ...
