"""From the permissions that a plan needs to the Roles that grant them, and to those that are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from tasks.kube.permission import Permission

_RBAC = "rbac.authorization.k8s.io"
_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


class Asked(Protocol):
    """Who can say what a login may do: :class:`tasks.kube.client.Kube`."""

    def allowed(self, permission: Permission) -> bool:
        """Whether the login has that right."""
        ...


def missing(kube: Asked, permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    """Those of *permissions* that the login does not have, in order."""
    return tuple(permission for permission in sorted(set(permissions), key=str) if not kube.allowed(permission))


def without_names(permissions: Iterable[Permission]) -> set[Permission]:
    """*permissions* for whatever name: where objects are called after a run, or by chance, as pods are."""
    return {replace(permission, name="") for permission in permissions}


def roles(name: str, permissions: Iterable[Permission]) -> list[dict[str, Any]]:
    """
    A Role called *name* for each namespace, and a ClusterRole for what is asked of the whole cluster.

    They grant *permissions* and nothing else; no wildcard is in them. Sorted, so that equal rights make equal text.
    """
    wanted = set(permissions)
    places = sorted({permission.namespace for permission in wanted}, key=lambda place: (place is not None, place or ""))
    return [_role(name, place, {one for one in wanted if one.namespace == place}) for place in places]


def bindings(name: str, permissions: Iterable[Permission], subject: dict[str, str]) -> list[dict[str, Any]]:
    """What binds :func:`roles` of the same *name* to *subject* (``kind``, ``name``, and a ServiceAccount's ``namespace``)."""
    group = {"apiGroup": _RBAC} if subject["kind"] != "ServiceAccount" else {}
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{role['kind']}Binding",
            "metadata": role["metadata"],
            "roleRef": {"apiGroup": _RBAC, "kind": role["kind"], "name": name},
            "subjects": [{**group, **subject}],
        }
        for role in roles(name, permissions)
    ]


def granted(permission: Permission, documents: Iterable[dict[str, Any]]) -> bool:
    """Whether the Roles among *documents* hold *permission*, as the API server would judge."""
    return any(
        _covers(rule, permission)
        for document in documents
        if document["kind"] == "ClusterRole" or (document["kind"] == "Role" and document["metadata"]["namespace"] == permission.namespace)
        for rule in document.get("rules") or ()
    )


def _covers(rule: dict[str, Any], permission: Permission) -> bool:
    names = rule.get("resourceNames")
    return (
        permission.verb in rule["verbs"]
        and permission.group in rule["apiGroups"]
        and permission.what in rule["resources"]
        and (not names or permission.name in names)
    )


def _role(name: str, namespace: str | None, permissions: set[Permission]) -> dict[str, Any]:
    """One document; resources with the same verbs and names share a rule."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for one in permissions:
        verbs.setdefault((one.group, one.what, one.name), set()).add(one.verb)
    rules: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for group, what, only in sorted(verbs):
        ordered = tuple(sorted(verbs[group, what, only], key=lambda verb: (_ORDER.index(verb) if verb in _ORDER else 99, verb)))
        rules.setdefault((group, ordered, only), []).append(what)
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole" if namespace is None else "Role",
        "metadata": {"name": name} if namespace is None else {"name": name, "namespace": namespace},
        "rules": [
            {"apiGroups": [group], "resources": whats, "verbs": list(ordered), **({"resourceNames": [only]} if only else {})}
            for (group, ordered, only), whats in rules.items()
        ],
    }


def role_text(documents: Iterable[dict[str, Any]]) -> str:
    """*documents* as YAML, ready for ``kubectl apply -f -``."""
    import io

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump_all(list(documents), text)
    return text.getvalue()
