"""What the tests of the Kubernetes provider share: manifests, a clock that need not be waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RUN = "20261126-150000-aaaa"
OTHER = "20261126-160000-bbbb"


@dataclass
class QuickClock:
    """Time passes when somebody sleeps, and not otherwise."""

    now_s: float = 1_800_000_000.0

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return self.now_s

    def monotonic_s(self) -> float:
        """The same."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """It is later now."""
        self.now_s += max(0.0, seconds)


def config_map(name: str, namespace: str | None = None, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named(name, namespace), "data": data or {"a": "1"}}


def service(name: str, **spec: Any) -> dict[str, Any]:
    """A Service on port 80."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def deployment(name: str, *, image: str = "tidegauge.test/pause:1", env: dict[str, str] | None = None) -> dict[str, Any]:
    """A Deployment of one small pod, written as people write them: amounts that the server writes another way."""
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "env": [{"name": key, "value": value} for key, value in (env or {"A": "1"}).items()],
        "ports": [{"containerPort": 80}],
        "resources": {"limits": {"cpu": "0.1", "memory": "0.0625Gi"}, "requests": {"cpu": 0.01, "memory": "16384Ki"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "creationTimestamp": None},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                    "volumes": [{"name": "t", "emptyDir": {"sizeLimit": "0.5Gi"}}],
                },
            },
        },
    }


def named(name: str, namespace: str | None) -> dict[str, Any]:
    """Metadata."""
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}
