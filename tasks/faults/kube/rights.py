"""Which rights in the namespace a set of fault kinds needs: decided without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.faults.kube.chaos_mesh import SPECS, mesh_rights
from tasks.faults.kube.kinds import KINDS
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
OWN = {
    "service_outage": (("patch", "apps", "deployments/scale"),),
    "queue_not_consumed": (("patch", "apps", "deployments/scale"),),
    "scale_out_in": (("patch", "apps", "deployments/scale"),),
    "rollout": (("patch", "apps", "deployments"),),
    "wrong_config": (("patch", "apps", "deployments"),),
    "black_hole": (("patch", "", "services"),),
    "cpu_starvation": (("patch", "", "pods/resize"),),
    "pod_kill": (("delete", "", "pods"),),
}
UNGUARDED = ("pod_kill", "cpu_hog", "memory_hog", "memory_leak")
"""What they do ends by itself, or is at once over."""


def rights_of(kinds: Iterable[str], namespace: str, *, chaos_mesh: bool = False) -> frozenset[Permission]:
    """
    The permissions for *kinds*; unknown ones need nothing.

    Args:
        kinds: Names of kinds.
        namespace: The app's.
        chaos_mesh: Whether Chaos Mesh may do what it can.
    """
    wanted: set[tuple[str, str, str]] = set()
    for name in set(kinds) & set(KINDS):
        wanted |= {*LOOK, *OWN.get(name, ())}
        wanted |= set(() if name in UNGUARDED else GUARD)
        wanted |= set({"node": NODE, "script": SHELL}.get(KINDS[name].need, ()))
        if chaos_mesh and name in SPECS:
            wanted |= {*GUARD, *((one.verb, one.group, one.resource) for one in mesh_rights(name, namespace))}
    return frozenset(_permission(one, namespace) for one in wanted)


def _permission(one: tuple[str, str, str], namespace: str) -> Permission:
    verb, group, what = one
    resource, _, subresource = what.partition("/")
    return Permission(verb, group, resource, subresource, namespace)
