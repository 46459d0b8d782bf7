"""Which rights in the namespace a set of fault kinds needs: decided without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.chaos_mesh import API_VERSION, SPECS, chosen, mesh_rights
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.looking import served_kinds
from tasks.kube.permission import Permission

LOOK = (("get", "apps", "deployments"), ("get", "", "pods"), ("list", "", "pods"), ("list", "", "services"), ("get", "", "services"))
GUARD = (
    *((verb, "batch", "jobs") for verb in ("get", "create", "patch", "delete")),
    *((verb, "", "serviceaccounts") for verb in ("get", "create")),
    *((verb, "rbac.authorization.k8s.io", kind) for kind in ("roles", "rolebindings") for verb in ("get", "create")),
    ("create", "", "pods"),
    ("get", "", "pods/log"),
)
"""A guard is made by whoever has its rights: they are among those of the kind."""
NODE = (("create", "", "pods"), ("delete", "", "pods"), ("patch", "", "pods"), ("get", "", "pods/log"))
SHELL = (("get", "", "pods/exec"), ("create", "", "pods/exec"))
WORKLOADS = ("deployments", "statefulsets")
"""What targets can be."""
OF_WORKLOADS = {"service_outage": "/scale", "queue_not_consumed": "/scale", "scale_out_in": "/scale", "rollout": "", "wrong_config": ""}
"""Kinds that change the workload itself, and by which subresource."""
OWN = {
    "black_hole": (("patch", "", "services"),),
    "cpu_starvation": (("patch", "", "pods/resize"),),
    "pod_kill": (("delete", "", "pods"),),
}
UNGUARDED = ("pod_kill", "cpu_hog", "memory_hog", "memory_leak")
"""What they do ends by itself, or is at once over."""
GUARDS: Mapping[str, int] = {"Job": 1, "ServiceAccount": 1, "Role": 1, "RoleBinding": 1}
"""Objects of a guard by kind; it makes a pod of its own."""


def made_by(kind: str) -> Mapping[str, int]:
    """Objects by kind that one fault or placebo of *kind* puts into the namespace while it lasts; of pods on nodes at least one."""
    if kind not in KINDS:
        return {}
    guard = {} if kind in UNGUARDED else dict(GUARDS)
    return guard | ({"Pod": 1} if KINDS[kind].need == "node" else {})


def on_nodes(kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of *kinds* that start a privileged pod on the target's node, in alphabetical order."""
    return tuple(sorted(name for name in set(kinds) & set(KINDS) if KINDS[name].need == "node"))


def rights_of(kinds: Iterable[str], namespace: str, *, workloads: Iterable[str] = WORKLOADS[:1]) -> frozenset[Permission]:
    """
    The permissions for *kinds* done in our own way (:func:`mesh_only` has the other); unknown ones need nothing.

    Args:
        kinds: Names of kinds.
        namespace: The app's.
        workloads: What the targets are: some of ``deployments`` and ``statefulsets``.
    """
    wanted, targets = set[tuple[str, str, str]](), tuple(workloads)
    for name in set(kinds) & set(KINDS):
        wanted |= {*LOOK, *(("get", "apps", target) for target in targets), *OWN.get(name, ())}
        wanted |= {("patch", "apps", f"{target}{OF_WORKLOADS[name]}") for target in targets if name in OF_WORKLOADS}
        wanted |= set(() if name in UNGUARDED else GUARD)
        wanted |= set({"node": NODE, "script": SHELL}.get(KINDS[name].need, ()))
    return frozenset(_permission(one, namespace) for one in wanted)


def mesh_only(kind: str, namespace: str) -> frozenset[Permission]:
    """What *kind* needs where Chaos Mesh does it: its object, and a guard that removes it; nothing of our own way."""
    return frozenset({*(_permission(one, namespace) for one in (*LOOK, *GUARD)), *mesh_rights(kind, namespace)})


def by_mesh(api: ClusterApi, kinds: Iterable[str], namespace: str) -> frozenset[str]:
    """Those of *kinds* that Chaos Mesh would do now: it is installed, and the login may use it; raises KubeError."""
    covered = set(kinds) & set(SPECS)
    served = served_kinds(api, API_VERSION) if covered else frozenset()
    return frozenset(kind for kind in covered if chosen(kind, served) and all(map(api.allowed, mesh_rights(kind, namespace))))


def _permission(one: tuple[str, str, str], namespace: str) -> Permission:
    verb, group, what = one
    resource, _, subresource = what.partition("/")
    return Permission(verb, group, resource, subresource, namespace)
