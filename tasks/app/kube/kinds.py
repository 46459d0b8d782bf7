"""The kinds of Kubernetes objects that an app may bring, where their pods are described, and in which order they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.base.yaml_events import Loc

NAMESPACED: Mapping[str, frozenset[str]] = {
    "": frozenset(
        [
            "ConfigMap",
            "Endpoints",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ]
    ),
    "apps": frozenset(["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    "autoscaling": frozenset(["HorizontalPodAutoscaler"]),
    "batch": frozenset(["CronJob", "Job"]),
    "discovery.k8s.io": frozenset(["EndpointSlice"]),
    "networking.k8s.io": frozenset(["Ingress", "NetworkPolicy"]),
    "policy": frozenset(["PodDisruptionBudget"]),
    "rbac.authorization.k8s.io": frozenset(["Role", "RoleBinding"]),
}
"""By API group: what lies in a namespace and describes an app."""
CURRENT: Mapping[str, str] = {
    "apps": "apps/v1",
    "autoscaling": "autoscaling/v2",
    "batch": "batch/v1",
    "networking.k8s.io": "networking.k8s.io/v1",
    "policy": "policy/v1",
    "rbac.authorization.k8s.io": "rbac.authorization.k8s.io/v1",
}
"""Versions that old ones were replaced by."""
GONE = frozenset(
    [
        "extensions/v1beta1",
        "apps/v1beta1",
        "apps/v1beta2",
        "autoscaling/v2beta1",
        "autoscaling/v2beta2",
        "batch/v1beta1",
        "networking.k8s.io/v1beta1",
        "policy/v1beta1",
        "rbac.authorization.k8s.io/v1beta1",
    ]
)
"""No server since 1.26 knows these."""
WORKLOADS = frozenset(["DaemonSet", "Deployment", "StatefulSet"])
"""Kinds that keep pods running."""
_TEMPLATES: Mapping[str, Loc] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(["DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"], ("spec", "template")),
}
_ORDER = {
    kind: position
    for position, kind in enumerate(
        [
            "ResourceQuota",
            "LimitRange",
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "NetworkPolicy",
            "Secret",
            "ConfigMap",
            "PersistentVolumeClaim",
            "Service",
        ]
    )
}


def group_of(api_version: str) -> str:
    """``apps`` of ``apps/v1``; empty for the core group."""
    return api_version.rpartition("/")[0]


def is_builtin(group: str) -> bool:
    """Whether Kubernetes itself defines the kinds of *group*; others come with definitions of somebody's own."""
    return "." not in group or group.endswith(".k8s.io")


def template_at(manifest: Mapping[str, Any]) -> Loc | None:
    """The path of the pod template in *manifest* (empty: it is a pod); None: it makes no pods."""
    kind = str(manifest.get("kind"))
    builtin = group_of(str(manifest.get("apiVersion"))) in NAMESPACED
    return _TEMPLATES.get(kind) if builtin else None


def inner(value: Any, loc: Loc) -> Any:
    """What is at *loc* of *value*; None where there is nothing."""
    for part in loc:
        holder: Any = value
        in_list = isinstance(holder, list) and isinstance(part, int) and part < len(holder)
        if not in_list and not (isinstance(holder, Mapping) and part in holder):
            return None
        value = holder[part]
    return value


def containers(pod_spec: Any) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    """Every container of a pod's spec, with its path in it."""
    for group in ("initContainers", "containers"):
        for index, one in enumerate(inner(pod_spec, (group,)) or ()):
            if isinstance(one, Mapping):
                yield (group, index), one


def in_order(manifest: Mapping[str, Any]) -> int:
    """What others need comes first: rights, settings and names before pods."""
    return _ORDER.get(str(manifest.get("kind")), len(_ORDER))
