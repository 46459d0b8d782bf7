"""Kinds of objects that we make, look for and remove, in the order in which they can be made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef

NAMESPACE = "Namespace"


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A kind of object that lies in a namespace."""

    rank: int
    """Lower ones are made earlier and removed later."""
    api_version: str
    """``v1``, ``apps/v1``."""
    name: str
    """``Deployment``."""
    plural: str
    """``deployments``, as in paths and in Roles."""

    def ref(self, namespace: str, name: str = "any") -> ObjectRef:
        """The address of one of it."""
        return ObjectRef(self.api_version, self.name, namespace, name)

    def permission(self, verb: str, namespace: str) -> Permission:
        """The right to do *verb* with all of it in *namespace*."""
        return Permission(verb, self.api_version.rpartition("/")[0], self.plural, namespace=namespace)


ACCESS, CONFIG, NETWORK, WORKLOAD, MADE = 1, 2, 3, 4, 5
"""Ranks, after the namespace itself; ``MADE``: what controllers make of our workloads."""
POD = Kind(MADE, "v1", "Pod", "pods")
LEASE = Kind(ACCESS, "coordination.k8s.io/v1", "Lease", "leases")
LEASE_NAME = "tidegauge"
"""One in each namespace: see :mod:`tasks.cluster.kube.lease`."""
VOLUME_CLAIM = Kind(CONFIG, "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
OURS = (
    Kind(ACCESS, "v1", "ServiceAccount", "serviceaccounts"),
    Kind(ACCESS, "rbac.authorization.k8s.io/v1", "Role", "roles"),
    Kind(ACCESS, "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Kind(CONFIG, "v1", "ConfigMap", "configmaps"),
    VOLUME_CLAIM,
    Kind(NETWORK, "v1", "Service", "services"),
    Kind(WORKLOAD, "apps/v1", "Deployment", "deployments"),
    Kind(WORKLOAD, "batch/v1", "Job", "jobs"),
    Kind(MADE, "apps/v1", "ReplicaSet", "replicasets"),
    POD,
)
"""What the product itself makes, or what is made of it: looked for in every namespace of a run."""
OTHERS = (
    Kind(ACCESS, "v1", "ResourceQuota", "resourcequotas"),
    Kind(ACCESS, "v1", "LimitRange", "limitranges"),
    Kind(ACCESS, "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind(ACCESS, "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind(CONFIG, "v1", "Secret", "secrets"),
    Kind(NETWORK, "v1", "Endpoints", "endpoints"),
    Kind(NETWORK, "discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    Kind(NETWORK, "networking.k8s.io/v1", "Ingress", "ingresses"),
    Kind(WORKLOAD, "v1", "ReplicationController", "replicationcontrollers"),
    Kind(WORKLOAD, "apps/v1", "StatefulSet", "statefulsets"),
    Kind(WORKLOAD, "apps/v1", "DaemonSet", "daemonsets"),
    Kind(WORKLOAD, "batch/v1", "CronJob", "cronjobs"),
    Kind(WORKLOAD, "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
)
"""What manifests of an app of one's own may bring: looked for where the login may list it, since it could not have been made otherwise."""
COPIED = frozenset({"Endpoints"})
"""Made by a controller without an owner, with all labels of its Service: ours are those only that we have applied."""
CLUSTER_WIDE = frozenset(
    {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)
"""Kinds that lie in no namespace: never made by a run."""
REMADE = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "Service", "ReplicaSet"})
"""Kinds that are removed and made anew when a part of them cannot be changed; nothing that users would miss is in them."""
_KNOWN = {(kind.api_version, kind.name): kind for kind in (*OURS, *OTHERS)}


def kind_of(ref: ObjectRef) -> Kind:
    """The kind of *ref*; one that is not in the tables is a workload, its plural made as most are."""
    known = _KNOWN.get((ref.api_version, ref.kind))
    return known or Kind(WORKLOAD, ref.api_version, ref.kind, _plural(ref.kind.lower()))


def further_kinds(manifests: Iterable[Mapping[str, Any]]) -> tuple[Kind, ...]:
    """Kinds of *manifests* that are in no table, as those that others have defined: who brings them has to remember them."""
    found = {kind_of(ObjectRef.of(one)) for one in manifests if one.get("kind") != NAMESPACE}
    return tuple(sorted(found - {*OURS, *OTHERS, LEASE}))


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"


def rank_of(ref: ObjectRef) -> int:
    """When *ref* is made; the namespace comes before all else."""
    return 0 if ref.kind == NAMESPACE and ref.api_version == "v1" else kind_of(ref).rank
