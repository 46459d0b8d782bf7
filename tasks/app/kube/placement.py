"""Where the objects of an app go, and what each of them carries so that it is found again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.kube.labels import run_labels

Manifest = dict[str, Any]
"""A Kubernetes object as the API takes it."""
SERVICE_LABEL = "tidegauge.dev/service"
"""On every pod of the app: which of its services it is. Manifests of others may use the label ``app`` in their own way."""
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Placement:
    """One run's place in a cluster."""

    namespace: str
    run: str
    load_balancers: bool = False
    """Whether Services of type LoadBalancer are let through."""

    def labels(self) -> dict[str, str]:
        """Of every object of the app."""
        return run_labels(self.run, "app")

    def pod_labels(self, service: str) -> dict[str, str]:
        """Of every pod of *service* that we make."""
        return {**self.labels(), "app": service, SERVICE_LABEL: service}

    def metadata(self, name: str) -> dict[str, Any]:
        """Of an object that we make."""
        return {"name": name, "namespace": self.namespace, "labels": {**self.labels(), "app": name}}


def can_be_service(name: str) -> bool:
    """Whether a Service may have this *name*, which is a DNS label that begins with a letter."""
    return _SERVICE_NAME.fullmatch(name) is not None


def scraped(port: int, path: str | None) -> Mapping[str, str]:
    """Annotations by which a Prometheus finds a pod's metrics; none where it shows none."""
    if path is None:
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}
