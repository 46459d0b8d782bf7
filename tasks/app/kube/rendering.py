"""From an app of programs to Kubernetes objects: a Deployment and a Service for each service. Pure: nothing is read or asked."""

from __future__ import annotations

from typing import Any

import tidegauge
from tasks.app.config import AppSettings, ServiceConfig
from tasks.app.kube.placement import Manifest, Placement, can_be_service, scraped
from tasks.app.model import App
from tasks.app.resolve import fill
from tasks.base.errors import DocumentError

PORT = 8080
"""What ``{port}`` is in a pod, which has a network of its own."""
SERVICE_PORT = 80
"""The port of every Service: ``{peer:carts}`` is ``carts:80``."""
DATA = "/data"
PYTHON = "python3"
"""What ``{python}`` is in an image."""
USER = 10_001
"""Nobody's id; not root, and the one that published Sock Shop images have as well."""
GRACE_S = 5
"""Between the request to end and SIGKILL: a service has no more than a second's work under way."""
CPU_REQUEST_RATIO = 0.1
"""Of the limit: what is set aside. Most services idle most of the time, and a test cluster is small."""
MEMORY_REQUEST_RATIO = 0.5
MEMORY_REQUEST_BYTES = 64 << 20
"""Set aside where there is no limit."""
STARTING_S = 600
"""So long a service may take to start before its container is started anew."""


def rendered(app: App, where: Placement) -> tuple[Manifest, ...]:
    """
    The objects of *app*: for each service a Service, then a Deployment of the same name, in the app's order.

    Raises:
        DocumentError: A name cannot be a Service's, an image is not named, or a placeholder is unknown; all are listed.
        PreflightError: The app is no app of programs.
    """
    programs = app.programs
    problems = [problem for service in programs for problem in _problems(app, service)]
    if problems:
        raise DocumentError("\n".join(problems), next_step="mend these in the section app")
    services = tuple(_service(service, where) for service in programs)
    return (*services, *(_deployment(app, service, where) for service in programs))


def port_of(service: ServiceConfig) -> int:
    """The port on which the pods of *service* listen."""
    return service.port or PORT


def image_of(app: App, service: ServiceConfig) -> str | None:
    """The image of *service* with the product's version filled in; None: none is named."""
    named = service.image or (app.settings.image if isinstance(app.settings, AppSettings) else None)
    return None if named is None else named.replace("{version}", tidegauge.__version__)


def _problems(app: App, service: ServiceConfig) -> list[str]:
    found = []
    if not can_be_service(service.name):
        found.append(f"service {service.name} of {app.name}: on Kubernetes a name begins with a letter and does not end in a dash")
    if image_of(app, service) is None:
        found.append(f"service {service.name} of {app.name}: on Kubernetes an image is needed, here or for the whole app")
    try:
        _container(app, service)
    except DocumentError as error:
        found.append(f"{error.message}; {error.next_step}")
    return found


def _service(service: ServiceConfig, where: Placement) -> Manifest:
    ports = [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "selector": {"app": service.name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": where.metadata(service.name), "spec": spec}


def _deployment(app: App, service: ServiceConfig, where: Placement) -> Manifest:
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "strategy": _strategy(service),
        "selector": {"matchLabels": {"app": service.name}},
        "template": {
            "metadata": {
                "labels": where.pod_labels(service.name),
                "annotations": dict(scraped(port_of(service), service.metrics_path)),
            },
            "spec": _pod(app, service),
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": where.metadata(service.name), "spec": spec}


def _strategy(service: ServiceConfig) -> dict[str, Any]:
    """One after the other where a pod keeps data: two that run at once would each have their own, and users see now one, now the other."""
    if not service.stateless:
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def _pod(app: App, service: ServiceConfig) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(app, service)],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }


def _container(app: App, service: ServiceConfig) -> dict[str, Any]:
    where = f"service {service.name} of {app.name}"
    peers = {f"peer:{callee}": f"{callee}:{SERVICE_PORT}" for callee in service.calls}
    values = {"port": str(port_of(service)), "data": DATA, "python": PYTHON, **peers}
    env = {"HOST": "0.0.0.0", **service.env}  # noqa: S104 -- a pod's network is its own; users come by way of its address
    return {
        "name": service.name,
        "image": image_of(app, service),
        "imagePullPolicy": "IfNotPresent",
        "command": [fill(part, values, where) for part in service.command],
        "env": [{"name": name, "value": fill(text, values, f"{where}, {name}")} for name, text in env.items()],
        "ports": [{"name": "http", "containerPort": port_of(service), "protocol": "TCP"}],
        "resources": _resources(service),
        "startupProbe": {**_asked(service), "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": STARTING_S},
        "readinessProbe": {**_asked(service), "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": DATA}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- an emptyDir
    }


def _asked(service: ServiceConfig) -> dict[str, Any]:
    """What a probe asks; often while it starts, so that the first second in which it is ready is seen, and seldom afterwards."""
    if service.ready_path is None:
        return {"tcpSocket": {"port": "http"}}
    return {"httpGet": {"path": service.ready_path, "port": "http"}}


def _resources(service: ServiceConfig) -> dict[str, dict[str, str]]:
    limits, requests = {}, {"memory": str(MEMORY_REQUEST_BYTES)}
    if service.cpu_limit_cores is not None:
        millicores = round(service.cpu_limit_cores * 1000)
        limits["cpu"], requests["cpu"] = f"{millicores}m", f"{max(1, round(millicores * CPU_REQUEST_RATIO))}m"
    if service.memory_limit_bytes is not None:
        limits["memory"] = str(service.memory_limit_bytes)
        requests["memory"] = str(round(service.memory_limit_bytes * MEMORY_REQUEST_RATIO))
    return {"limits": limits, "requests": requests}
