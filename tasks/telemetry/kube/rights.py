"""What the login that records needs to be allowed, by source: for preflights, plans and the Roles that would do."""

from __future__ import annotations

from tasks.kube.permission import Permission
from tasks.telemetry.config import DEPLOYED, KubeletSource, PrometheusSource
from tasks.telemetry.kube.workloads import KINDS

LOOK = ("list", "watch")
WIDE = (
    "nodes/proxy opens every kubelet to whoever has it: all pods' logs and programs, in all namespaces. "
    "telemetry.sources[0].containers: none does without it, and without CPU and memory of containers"
)
"""What a plan has to say about it."""


def needed(source: KubeletSource | PrometheusSource, namespace: str) -> tuple[Permission, ...]:
    """What recording by *source* asks of the API server; *namespace* is the app's."""
    return _kubelet(source, namespace) if isinstance(source, KubeletSource) else _prometheus(source)


def wide(source: KubeletSource | PrometheusSource) -> str | None:
    """What is to be said of rights that reach beyond the namespaces named; None: there are none."""
    return WIDE if isinstance(source, KubeletSource) and source.containers != "none" else None


def _kubelet(source: KubeletSource, namespace: str) -> tuple[Permission, ...]:
    found = [Permission(verb, "", resource, namespace=namespace) for resource in ("pods", "events") for verb in LOOK]
    found += [Permission(verb, "apps", resource, namespace=namespace) for resource in KINDS.values() for verb in LOOK]
    found.append(Permission("get", "", "pods", "proxy", namespace))
    if source.containers != "none":
        found.append(Permission("get", "", "nodes", "proxy"))
    return tuple(found)


def _prometheus(source: PrometheusSource) -> tuple[Permission, ...]:
    """To ask it by the proxy of its service: remote read is a POST, which is a ``create``."""
    service = source.service if source.deploy is None else f"{source.deploy.namespace}/{DEPLOYED}"
    if service is None:
        return ()
    namespace, _, name = service.partition("/")
    return tuple(Permission(verb, "", "services", "proxy", namespace, name) for verb in ("get", "create"))
