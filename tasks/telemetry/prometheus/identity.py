"""
Whom a raw series is about: service and role from its labels alone, so that every window and every recording agrees.

A recording keeps all labels of a series, so pods and instances stay apart; columns are made a service, whatever its pods are called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.series import ROLES, Role

SERVICE_LABEL, ROLE_LABEL = "tidegauge_service", "tidegauge_role"
"""Put on targets by us; they win."""
SERVICE_LABELS = ("app", "app_kubernetes_io_name", "k8s_app", "name", "service", "container", "job")
"""Where the name of a service is looked for, the first that is there and not empty; a workload's name comes before the job."""
_REPLICA_SET = re.compile(r"-(?:[4-9bcdf]{6,10}|\d{8,10})-[bcdfghjklmnpqrstvwxz2456789]{5}$")
"""
Pod of a Deployment or a CronJob: the ReplicaSet's hash or the minute, then five letters of Kubernetes' own alphabet.

The hash is ten digits at most, each written as one of ten letters (``rand.SafeEncodeString``), so that no word looks like one.
"""
_DAEMON_POD = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}$")
_ORDINAL = re.compile(r"-\d+$")


def workload(pod: str) -> str:
    """The workload that a pod belongs to, by its name: of a Deployment, a DaemonSet or Job, or a StatefulSet; else the name itself."""
    for pattern in (_REPLICA_SET, _DAEMON_POD, _ORDINAL):
        short = pattern.sub("", pod)
        if short and short != pod:
            return short
    return pod


def about(labels: Labels, service_labels: Sequence[str] = SERVICE_LABELS) -> tuple[Role, str]:
    """
    Role and service of the series with *labels*.

    Args:
        labels: All its labels.
        service_labels: Labels that may name the service, the first found counts.
    """
    named = dict(labels)
    name = named.get("__name__", "")
    role = _role(named, name)
    if told := named.get(SERVICE_LABEL):
        return role, (named.get("container") or told) if role == "container" and not named.get("pod") else told
    if role == "node":
        return role, "node"
    if role in ("container", "pod"):
        return role, _contained(named)
    for label in service_labels:
        if label == "job" and named.get("pod"):
            return role, workload(named["pod"])
        if named.get(label):
            return role, named[label]
    return role, workload(named["pod"]) if named.get("pod") else named.get("instance") or "unnamed"


def _role(named: Mapping[str, str], name: str) -> Role:
    told = named.get(ROLE_LABEL, "")
    if told in ROLES:
        return told
    if name.startswith("container_"):
        if _label(named, "container") not in ("", "POD"):
            return "container"
        return "pod" if _label(named, "pod") else "node"
    if name.startswith("kube_"):
        return "container"
    return "node" if name.startswith(("node_", "machine_")) else "service"


def _contained(named: Mapping[str, str]) -> str:
    """
    The workload of the pod: containers of several workloads are called alike (``mongo``), and sidecars are part of theirs.

    Without a pod, the container's name; what is about a whole deployment goes to that.
    """
    exporter_alone = "exported_container" in named and "exported_pod" not in named  # then the pod is the exporter's own
    container = _label(named, "container")
    if not exporter_alone and (pod := _label(named, "pod")):
        found = workload(pod)
        told = found == pod and container not in ("", "POD") and pod.startswith(f"{container}-")  # a name of no controller that we know
        return container if told else found
    if container not in ("", "POD"):
        return container
    if named.get("pod"):
        return workload(named["pod"])
    return next((named[label] for label in ("deployment", "statefulset", "daemonset", "service", "job") if named.get(label)), "unnamed")


def _label(named: Mapping[str, str], label: str) -> str:
    """The label of the subject: where an exporter's own label stood in the way, Prometheus renamed it."""
    return named.get(f"exported_{label}") or named.get(label, "")
