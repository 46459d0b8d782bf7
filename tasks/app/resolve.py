"""From an app and its ports to the processes that make it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tasks.app.config import ServiceConfig
from tasks.app.graph import nearest
from tasks.app.model import App
from tasks.base.errors import DocumentError, PreflightError
from tasks.base.process import ProcessSpec

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def processes(app: App, ports: Mapping[str, int], public: Mapping[str, int], data_dir: Path, python: str) -> tuple[ProcessSpec, ...]:
    """
    One process a service, in the app's order.

    Args:
        app: What to run.
        ports: The loopback port that each service itself listens on.
        public: The port at which others reach it (its proxy's): only these are given to peers.
        data_dir: ``{data}`` of service S is the folder S in it.
        python: ``{python}``, the interpreter of the product.

    Raises:
        DocumentError: A placeholder is unknown, or names a service that is not among ``calls``.
        PreflightError: A service has no port, or another one than it insists on; or the app is no app of programs.
    """
    return tuple(_process(app, service, ports, public, data_dir, python) for service in app.programs)


def fixed_ports(app: App) -> dict[str, int]:
    """The ports that services insist on, by service."""
    return {service.name: service.port for service in app.programs if service.port is not None}


def scrape_urls(app: App, ports: Mapping[str, int]) -> dict[str, str]:
    """Where each service that shows metrics shows them, past any proxy."""
    return {
        service.name: f"http://127.0.0.1:{ports[service.name]}{service.metrics_path}"
        for service in app.programs
        if service.metrics_path is not None
    }


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """
    *text* with each ``{name}`` replaced by its value, once: values are never looked into. ``{{`` and ``}}`` stand for braces.

    Raises:
        DocumentError: A name is unknown, or a brace stands alone.
    """

    def replace(match: re.Match[str]) -> str:
        found = match.group(0)
        if found in ("{{", "}}"):
            return found[0]
        name = match.group(1)
        if name is None:
            raise DocumentError(f"{where}: a lone {found} in {text!r}", next_step=f"write {found * 2} for the character itself")
        if name not in values:
            known = ", ".join("{" + one + "}" for one in sorted(values))
            raise DocumentError(
                f"{where}: unknown placeholder {found} in {text!r}{nearest(name, set(values))}", next_step=f"use one of {known}"
            )
        return values[name]

    return _PLACEHOLDER.sub(replace, text)


def _process(
    app: App, service: ServiceConfig, ports: Mapping[str, int], public: Mapping[str, int], data_dir: Path, python: str
) -> ProcessSpec:
    port = _port(ports, service.name)
    if service.port is not None and service.port != port:
        raise PreflightError(f"{service.name} listens on port {service.port} only, and was given {port}")
    values: dict[str, str] = {
        "port": str(port),
        "data": str(data_dir / service.name),
        "python": python,
        **{f"peer:{callee}": f"127.0.0.1:{_port(public, callee)}" for callee in service.calls},
    }
    where = f"service {service.name} of {app.name}"
    return ProcessSpec(
        name=service.name,
        argv=tuple(fill(part, values, where) for part in service.command),
        env={name: fill(value, values, f"{where}, {name}") for name, value in service.env.items()},
        port=port,
        ready_path=service.ready_path,
        memory_limit_bytes=service.memory_limit_bytes,
    )


def _port(ports: Mapping[str, int], service: str) -> int:
    try:
        return ports[service]
    except KeyError:
        raise PreflightError(f"no port is known for the service {service}") from None
