"""A Prometheus for the run, as objects: as few rights as its jobs need, and a place for as long as is planned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.kube.permission import Permission
from tasks.kube.rights import bindings, roles
from tasks.telemetry.config import DEPLOYED, DeployedPrometheus
from tasks.telemetry.kube.jobs import Scraping, prometheus_yml

Manifest = dict[str, Any]
NAME, PORT = DEPLOYED.partition(":")[0], int(DEPLOYED.partition(":")[2])
LONGER, SHORTEST_S = 1.5, 7200.0
"""It keeps so much longer than is planned, and at least so long."""
USER = 65534
CONFIG, DATA = "/etc/tidegauge", "/prometheus"
GRACE_S = 10


@dataclass(frozen=True, slots=True)
class Placed:
    """Whom it is for."""

    namespace: str
    """Of the app."""
    interval_s: float
    planned_s: float
    """How long the run takes."""
    labels: Mapping[str, str]
    """Of everything that is made."""
    run: str
    """Tells what belongs to the whole cluster apart from another run's."""


def manifests(wanted: DeployedPrometheus, placed: Placed) -> tuple[Manifest, ...]:
    """All objects, in the order in which they are applied; the namespaces are not among them."""
    scraping = Scraping(placed.namespace, placed.interval_s, wanted.kubelet_interval_s, wanted.cadvisor)
    config = {"prometheus.yml": prometheus_yml(scraping)}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": wanted.namespace}}
    rights, subject = its_rights(wanted, placed.namespace), {"kind": "ServiceAccount", "name": NAME, "namespace": wanted.namespace}
    found = [
        account,
        *_named_apart([*roles(NAME, rights), *bindings(NAME, rights, subject)], placed.run),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": wanted.namespace}, "data": config},
        *([] if wanted.volume_gib is None else [_claim(wanted)]),
        _deployment(wanted, placed, config["prometheus.yml"]),
        _service(wanted),
    ]
    return tuple({**one, "metadata": {**one["metadata"], "labels": dict(placed.labels)}} for one in found)


def its_rights(wanted: DeployedPrometheus, namespace: str) -> tuple[Permission, ...]:
    """What it may do itself: see the app's pods; and see the nodes and read their metrics, where it asks the kubelets."""
    found = [Permission(verb, "", "pods", namespace=namespace) for verb in ("get", "list", "watch")]
    if wanted.cadvisor != "none":
        found += [Permission(verb, "", "nodes") for verb in ("list", "watch")]
        found.append(Permission("get", "", "nodes", "proxy" if wanted.cadvisor == "api-server" else "metrics"))
    return tuple(found)


def retention_s(wanted: DeployedPrometheus, planned_s: float) -> float:
    """How long it keeps samples."""
    return wanted.retention_s or max(SHORTEST_S, LONGER * planned_s)


def _named_apart(documents: list[Manifest], run: str) -> list[Manifest]:
    """Those for the whole cluster with a name of the run's own: there may be another one."""
    name = f"{NAME}-{run}"
    found = []
    for one in documents:
        if "namespace" not in one["metadata"]:
            one = {**one, "metadata": {**one["metadata"], "name": name}}  # noqa: PLW2901 -- the same document under another name
            if "roleRef" in one:
                one["roleRef"] = {**one["roleRef"], "name": name}
        found.append(one)
    return found


def _claim(wanted: DeployedPrometheus) -> Manifest:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{round((wanted.volume_gib or 0) * 1024)}Mi"}},
    }
    if wanted.storage_class is not None:
        spec["storageClassName"] = wanted.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": NAME, "namespace": wanted.namespace}, "spec": spec}


def _service(wanted: DeployedPrometheus) -> Manifest:
    spec = {"type": "ClusterIP", "selector": {"app": NAME}, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": wanted.namespace}, "spec": spec}


def _deployment(wanted: DeployedPrometheus, placed: Placed, config: str) -> Manifest:
    from tasks.base.files import sha256_text

    volume: dict[str, Any] = {"emptyDir": {}} if wanted.volume_gib is None else {"persistentVolumeClaim": {"claimName": NAME}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": wanted.namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {
                    "labels": {**placed.labels, "app": NAME},
                    "annotations": {"tidegauge.dev/config": sha256_text(config)[:16]},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": GRACE_S,
                    "securityContext": _user(),
                    "containers": [_container(wanted, placed.planned_s)],
                    "volumes": [{"name": "config", "configMap": {"name": NAME}}, {"name": "data", **volume}],
                },
            },
        },
    }


def _user() -> dict[str, Any]:
    ids = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    return {"runAsNonRoot": True, **ids, "seccompProfile": {"type": "RuntimeDefault"}}


def _container(wanted: DeployedPrometheus, planned_s: float) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--config.file={CONFIG}/prometheus.yml",
            f"--storage.tsdb.path={DATA}",
            f"--storage.tsdb.retention.time={round(retention_s(wanted, planned_s))}s",
            f"--web.listen-address=:{PORT}",
        ],
        "env": [{"name": "GOMEMLIMIT", "value": str(round(wanted.memory_mib * 2**20 * 0.9))}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": f"{wanted.memory_mib}Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "config", "mountPath": CONFIG}, {"name": "data", "mountPath": DATA}],
    }
