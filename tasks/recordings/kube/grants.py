"""The document that grants what it takes to put a Prometheus into the cluster: made from the needs of all its forms, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.needs import permissions
from tasks.cluster.kube.rights import account_of, granting, namespace_alone
from tasks.recordings.kube.rights import PROMETHEUS, Parts, needs_of
from tasks.telemetry.config import DeployedPrometheus, PrometheusSource, TelemetryConfig

NAMESPACE = "tidegauge-telemetry"
"""Of the Prometheus, in the shipped document."""


def for_prometheus(settings: KubernetesSettings, namespace: str = NAMESPACE, subject: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """
    The *namespace*, and beside what any run gets the rights to put a Prometheus there and to give it its own.

    Args:
        settings: The section ``cluster``.
        namespace: Another one than the app's.
        subject: Who gets the rights, as a RoleBinding names it; None: the ServiceAccount ``tidegauge`` of the app's namespace.
    """
    wanted = [need for form in _forms(settings, namespace) for need in needs_of(form)]
    who = subject or account_of(settings.namespace)
    return [namespace_alone(namespace), *granting("tidegauge-prometheus", permissions(wanted, PROMETHEUS), who)]


def _forms(settings: KubernetesSettings, namespace: str) -> Iterator[Parts]:
    """With a volume or without, and in each way to read the kubelets that needs no other document."""
    for volume_gib, cadvisor in product((None, 1.0), ("api-server", "kubelet", "none")):
        wanted = DeployedPrometheus.model_validate({"namespace": namespace, "volume_gib": volume_gib, "cadvisor": cadvisor})
        source = PrometheusSource(kind="prometheus", deploy=wanted)
        yield Parts(settings, (), None, TelemetryConfig(sources=(source,)), ())
