"""A load as Kubernetes objects: what is asked of the cluster, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.base.errors import DocumentError
from tasks.kube.labels import run_labels
from tasks.load.kube.sources import LOCUSTFILE
from tasks.load.plan import GeneratorPlan
from tasks.load.script import VARIABLE

CONTAINER = "locust"
HOME = "/tidegauge"
"""Where code and plan are mounted; also the working directory, so that ``tasks`` is found."""
PLAN = "plan.json"
LOAD, ROLE = "tidegauge.dev/load", "tidegauge.dev/role"
NUMBER = "batch.kubernetes.io/job-completion-index"
"""Annotation with the number of a worker."""
GRACE_S = 15
"""From the request to end to SIGKILL: journeys under way, the last lines, and time to read them."""
LARGEST_BYTES = 1_000_000
"""Of all that one ConfigMap holds; the API takes 1 MiB."""


@dataclass(frozen=True, slots=True)
class Crew:
    """A master and its workers."""

    name: str
    """Of this load; the objects' names begin with it."""
    namespace: str
    run: str
    image: str
    workers: int
    at_most_s: float
    memory_bytes: int
    """Resident size above which a worker is in trouble."""
    port: int = 5557

    @property
    def selector(self) -> str:
        """Selects the pods."""
        return f"{LOAD}={self.name}"

    def labels(self, role: str | None = None) -> dict[str, str]:
        """What each object carries; pods also their *role*."""
        return {**run_labels(self.run, "load"), LOAD: self.name, **({} if role is None else {ROLE: role})}

    def named(self, role: str) -> str:
        """Name of the object for *role*: ``plan``, ``master`` or ``workers``."""
        return f"{self.name}-{role}"

    def metadata(self, role: str) -> dict[str, Any]:
        """Name, namespace and labels of the object for *role*."""
        return {"name": self.named(role), "namespace": self.namespace, "labels": self.labels()}


def manifests(crew: Crew, plan: GeneratorPlan, sources: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """
    Everything that makes the load, in the order in which it is to be applied.

    Raises:
        DocumentError: Code and plan are more than a ConfigMap holds.
    """
    return (config_map(crew, plan, sources), service(crew), master(crew, sources), workers(crew, sources))


def plan_data(plan: GeneratorPlan) -> dict[str, str]:
    """The plan as data of the ConfigMap."""
    return {PLAN: plan.model_dump_json()}


def config_map(crew: Crew, plan: GeneratorPlan, sources: Mapping[str, str]) -> dict[str, Any]:
    """Code and plan; raises like :func:`manifests`."""
    data = {**{key_of(path): text for path, text in sources.items()}, **plan_data(plan)}
    size = sum(len(key) + len(text.encode()) for key, text in data.items())
    if size > LARGEST_BYTES:
        raise DocumentError(
            f"the load is too long to be told to pods: {size:,} bytes of {LARGEST_BYTES:,}",
            next_step="shorten the table of users or the journeys (fewer rows with interpolate: linear draw the same curve)",
        )
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": crew.metadata("plan"), "data": data}


def key_of(path: str) -> str:
    """The key under which the file *path* stands in the ConfigMap."""
    return path.replace("/", ".")


def service(crew: Crew) -> dict[str, Any]:
    """The name by which workers find the master, before it is ready too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": crew.metadata("master"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {LOAD: crew.name, ROLE: "master"},
            "ports": [{"name": "locust", "port": crew.port}],
        },
    }


def master(crew: Crew, sources: Mapping[str, str]) -> dict[str, Any]:
    """One pod that lets the others begin."""
    arguments = ["--master", "--headless", "--only-summary", "--master-bind-port", str(crew.port)]
    resources = _resources("50m", "500m", 96 << 20, 256 << 20)
    return _job(crew, "master", _container(crew, arguments, resources), sources, {"completions": 1, "parallelism": 1})


def workers(crew: Crew, sources: Mapping[str, str]) -> dict[str, Any]:
    """One pod for each share of the users; a lost one comes back with its number."""
    arguments = ["--worker", "--master-host", f"{crew.named('master')}.{crew.namespace}.svc", "--master-port", str(crew.port)]
    resources = _resources("100m", "1", 96 << 20, crew.memory_bytes + crew.memory_bytes // 4)
    size = {"completions": crew.workers, "parallelism": crew.workers, "completionMode": "Indexed"}
    return _job(crew, "workers", _container(crew, arguments, resources), sources, size)


def _resources(cpu: str, cpu_limit: str, memory_bytes: int, memory_limit_bytes: int) -> dict[str, Any]:
    """A generator is one thread: it never wants more than one core."""
    return {"requests": {"cpu": cpu, "memory": str(memory_bytes)}, "limits": {"cpu": cpu_limit, "memory": str(memory_limit_bytes)}}


def _container(crew: Crew, arguments: list[str], resources: Mapping[str, Any]) -> dict[str, Any]:
    environment = {VARIABLE: f"{HOME}/{PLAN}", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}  # noqa: S108 -- of a pod
    return {
        "name": CONTAINER,
        "image": crew.image,
        "imagePullPolicy": "IfNotPresent",
        "workingDir": HOME,
        "args": [*arguments, "--loglevel", "WARNING", "-f", LOCUSTFILE],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": dict(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "plan", "mountPath": HOME, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _job(crew: Crew, role: str, container: dict[str, Any], sources: Mapping[str, str], size: Mapping[str, Any]) -> dict[str, Any]:
    """
    A Job that ends by itself after ``at_most_s``.

    A process that dies is started again in its pod, at once; a pod that is lost, by the Job, after its delay.
    """
    items = [*({"key": key_of(path), "path": path} for path in sources), {"key": PLAN, "path": PLAN}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": crew.metadata(role),
        "spec": {
            **size,
            "backoffLimit": 1000,
            "activeDeadlineSeconds": math.ceil(crew.at_most_s),
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": crew.labels("master" if role == "master" else "worker")},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "terminationGracePeriodSeconds": GRACE_S,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65534,
                        "runAsGroup": 65534,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [
                        {"name": "plan", "configMap": {"name": crew.named("plan"), "items": items}},
                        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                    ],
                },
            },
        },
    }
