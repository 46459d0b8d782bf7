"""How an app's services are reached once it is there: by which Service and port users come in, and where metrics are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.app.config import ServiceConfig, Workload
from tasks.app.kube.kinds import WORKLOADS, containers, inner, template_at
from tasks.app.kube.placement import Manifest
from tasks.app.kube.rendering import SERVICE_PORT
from tasks.app.model import App
from tasks.base.errors import PreflightError
from tasks.base.yaml_events import Loc
from tasks.kube.labels import selects


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where users come in: a Service and one of its ports."""

    namespace: str
    service: str
    port: int

    @property
    def address(self) -> str:
        """Base address from inside the cluster."""
        return f"http://{self.service}.{self.namespace}:{self.port}"


def entrance(app: App, manifests: Sequence[Manifest], namespace: str) -> Entrance:
    """
    Where users of *app*, deployed as *manifests*, come in.

    Raises:
        PreflightError: No Service leads to its entry.
    """
    entry = app.service(app.entry)
    if isinstance(entry, ServiceConfig):
        return Entrance(namespace, entry.name, SERVICE_PORT)
    workload = workloads_of(manifests).get(entry.name)
    service = None if workload is None else service_of(workload, manifests)
    port = None if service is None else service_port(entry, service)
    if service is None or port is None:
        raise PreflightError(f"no Service leads to {entry.name}, where users of {app.name} come in", next_step="add one to its manifests")
    return Entrance(namespace, str(inner(service, ("metadata", "name"))), port)


def workloads_of(manifests: Iterable[Manifest]) -> dict[str, Manifest]:
    """The objects that keep pods running, by name."""
    return {str(inner(one, ("metadata", "name"))): one for one in manifests if one.get("kind") in WORKLOADS}


def service_of(workload: Mapping[str, Any], manifests: Iterable[Manifest]) -> Manifest | None:
    """The Service that leads to the pods of *workload*: the one of its name, or else the first; None: there is none."""
    labels = inner(workload, (*(template_at(workload) or ()), "metadata", "labels")) or {}
    leading = [one for one in manifests if one.get("kind") == "Service" and selects(inner(one, ("spec", "selector")), labels)]
    name = inner(workload, ("metadata", "name"))
    return next((one for one in leading if inner(one, ("metadata", "name")) == name), leading[0] if leading else None)


def service_port(workload: Workload, service: Mapping[str, Any]) -> int | None:
    """The port of *service* at which users reach *workload*; None: it has none, or not the one that is said."""
    ports = [port.get("port") for port in inner(service, ("spec", "ports")) or () if isinstance(port, Mapping)]
    if workload.port is not None:
        return workload.port if workload.port in ports else None
    return next((port for port in ports if isinstance(port, int)), None)


def metrics_port(workload: Workload, manifest: Mapping[str, Any]) -> int | None:
    """The port of its pods on which *workload* shows metrics; None: its *manifest* names none."""
    if workload.metrics_port is not None:
        return workload.metrics_port
    ports = (
        inner(one, ("ports", index, "containerPort")) for _, one in containers_of(manifest) for index in range(len(one.get("ports") or ()))
    )
    return next((port for port in ports if isinstance(port, int)), None)


def containers_of(manifest: Mapping[str, Any]) -> list[tuple[Loc, Mapping[str, Any]]]:
    """The containers of the pods that *manifest* makes, with their paths in the pod's spec."""
    template = template_at(manifest)
    return [] if template is None else list(containers(inner(manifest, (*template, "spec"))))
