"""Rights that are given away: nobody can give what he has not, by a Role that he makes or one that he binds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.kube.permission import Permission

GROUP = "rbac.authorization.k8s.io"


def given(item: Mapping[str, Any], roles: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> Iterator[Permission]:
    """
    What whoever makes *item* has to have himself.

    Args:
        item: Any object; only Roles, ClusterRoles and their bindings give something away.
        roles: Those that are there, by kind, namespace and name.
    """
    namespace = item["metadata"].get("namespace")
    if str(item.get("kind")).endswith("Binding"):
        kind, name = item["roleRef"]["kind"], item["roleRef"]["name"]
        item = roles.get((kind, namespace or "" if kind == "Role" else "", name), {})
    for rule in item.get("rules") or ():
        for group in rule["apiGroups"]:
            for what in rule["resources"]:
                resource, _, subresource = what.partition("/")
                for name in rule.get("resourceNames") or ("",):
                    yield from (Permission(verb, group, resource, subresource, namespace, name) for verb in rule["verbs"])
