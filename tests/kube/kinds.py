"""The kinds that the fake API server knows, by group and version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """``apps``; empty for the core group."""
        return self.api_version.rpartition("/")[0]


_NAMES = {
    "v1": "Pod Service ConfigMap Secret ServiceAccount Event Endpoints PersistentVolumeClaim ResourceQuota LimitRange",
    "apps/v1": "Deployment StatefulSet DaemonSet ReplicaSet",
    "batch/v1": "Job CronJob",
    "coordination.k8s.io/v1": "Lease",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "policy/v1": "PodDisruptionBudget",
    "discovery.k8s.io/v1": "EndpointSlice",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "events.k8s.io/v1": "Event",
}
_OF_THE_CLUSTER = {
    "v1": "Namespace Node PersistentVolume",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "storage.k8s.io/v1": "StorageClass",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
}


def plural_of(kind: str) -> str:
    """``networkpolicies``."""
    lower = kind.lower()
    if lower.endswith("endpoints"):
        return lower
    return lower[:-1] + "ies" if lower.endswith("cy") else lower + "es" if lower.endswith(("s", "ss")) else lower + "s"


def usual_kinds() -> list[Kind]:
    """Those of every cluster."""
    found = [Kind(version, name, plural_of(name)) for version, names in _NAMES.items() for name in names.split()]
    found += [Kind(version, name, plural_of(name), False) for version, names in _OF_THE_CLUSTER.items() for name in names.split()]
    found.append(Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"))
    return found
