"""An app as a value: what runs, who calls whom, what a request reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.app.config import AppSettings, ClusterApp, ServiceConfig, SmokeStep, Workload
from tasks.app.graph import nearest, reached_from
from tasks.base.errors import PreflightError


@dataclass(frozen=True, slots=True)
class App:
    """An app that is consistent: each name in it is the name of one of its services."""

    name: str
    settings: AppSettings | ClusterApp
    folder: Path | None = None
    """Where files that it names by a relative path are looked for; None: it names none so."""

    @property
    def services(self) -> tuple[ServiceConfig | Workload, ...]:
        """The services, in the order of the app's file."""
        return self.settings.services if isinstance(self.settings, AppSettings) else self.settings.workloads

    @property
    def programs(self) -> tuple[ServiceConfig, ...]:
        """
        The services as programs.

        Raises:
            PreflightError: The app comes as Kubernetes objects; it has no programs that could run here.
        """
        if isinstance(self.settings, AppSettings):
            return self.settings.services
        raise PreflightError(
            f"{self.name} runs on Kubernetes only: it comes as manifests, not as programs",
            next_step="name a cluster, as in cluster: {provider: kubeconfig, ...}, or take app: {kind: demo-shop}",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names, in the same order."""
        return tuple(service.name for service in self.services)

    @property
    def entry(self) -> str:
        """The service that users talk to."""
        return self.settings.entry

    @property
    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """What each known request to the entry reaches, without the entry itself."""
        return self.settings.endpoints

    @property
    def required_metrics(self) -> tuple[str, ...]:
        """Metric names without which a recording is not worth starting."""
        return self.settings.required_metrics

    @property
    def readiness_s(self) -> float:
        """Planned time from start, or restart, to ready, in seconds."""
        return self.settings.readiness_s

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """The (caller, callee) pairs, sorted."""
        return tuple(sorted((service.name, callee) for service in self.services for callee in service.calls))

    @property
    def edges_known(self) -> bool:
        """Whether it is known who calls whom; without that a ranking has no evidence from call edges, and has to say so."""
        return self.settings.edges_known if isinstance(self.settings, ClusterApp) else True

    @property
    def edge_note(self) -> str | None:
        """What a plan and a report say where it is not known who calls whom; None where it is."""
        if self.edges_known:
            return None
        return f"no service of {self.name} says whom it calls: root causes are ranked without the evidence of call edges"

    @property
    def smoke(self) -> tuple[SmokeStep, ...]:
        """The functional test; never empty."""
        if self.settings.smoke:
            return self.settings.smoke
        path = getattr(self.service(self.entry), "ready_path", None) or "/"
        return (SmokeStep(name=f"{self.entry} answers on {path}", path=path),)

    def service(self, name: str) -> ServiceConfig | Workload:
        """
        The service called *name*.

        Raises:
            PreflightError: There is none.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise PreflightError(
            f"{self.name} has no service {name}{nearest(name, set(self.names))}", next_step=f"one of {', '.join(self.names)}"
        )

    def callers_of(self, service: str) -> tuple[str, ...]:
        """The services that call *service* directly, sorted; empty for the entry, which only users call."""
        self.service(service)
        return tuple(caller for caller, callee in self.edges if callee == service)

    def reached(self, endpoints: Iterable[str]) -> frozenset[str]:
        """
        The services that requests to *endpoints* reach, the entry included.

        Args:
            endpoints: As ``GET /detail.html``; a query is ignored. An endpoint that the app does not list may reach every
                service to which calls lead from the entry, and any service where it is not known who calls whom.
        """
        everything = reached_from(self.entry, {service.name: service.calls for service in self.services}, known=self.edges_known)
        found = {self.entry}
        for endpoint in endpoints:
            found |= set(self.endpoints.get(endpoint.partition("?")[0], everything))
        return frozenset(found)
