"""Permissions as Roles, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.permission import Permission
from tasks.kube.rights import bindings, granted, missing, role_text, roles, without_names
from tests.kube.fake_api import FakeApi

NEEDED = {
    Permission("list", "", "pods", namespace="shop"),
    Permission("get", "", "pods", namespace="shop"),
    Permission("get", "", "services", namespace="shop"),
    Permission("list", "", "services", namespace="shop"),
    Permission("get", "", "pods", "log", namespace="shop"),
    Permission("get", "", "services", "proxy", namespace="monitoring", name="prometheus:9090"),
    Permission("get", "", "nodes", "proxy"),
    Permission("patch", "apps", "deployments", namespace="shop"),
}


def test_a_role_for_each_namespace_and_one_for_the_cluster():
    """Resources with the same verbs share a rule; no wildcard anywhere."""
    documents = roles("runner", NEEDED)

    assert [(one["kind"], one["metadata"].get("namespace")) for one in documents] == [
        ("ClusterRole", None),
        ("Role", "monitoring"),
        ("Role", "shop"),
    ]
    assert documents[0]["rules"] == [{"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}]
    assert documents[1]["rules"][0]["resourceNames"] == ["prometheus:9090"]
    assert documents[2]["rules"] == [
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    ]
    assert "*" not in role_text(documents)


def test_roles_grant_what_was_asked_and_nothing_else():
    """Another verb, place, name or subresource is not in them."""
    documents = roles("runner", NEEDED)
    others = [
        Permission("delete", "", "pods", namespace="shop"),
        Permission("list", "", "pods", namespace="monitoring"),
        Permission("list", "", "pods"),
        Permission("get", "", "pods", "exec", namespace="shop"),
        Permission("get", "", "services", "proxy", namespace="monitoring", name="grafana:80"),
        Permission("patch", "", "deployments", namespace="shop"),
    ]

    assert all(granted(one, documents) for one in NEEDED)
    assert not any(granted(one, documents) for one in others)


def test_their_text_is_yaml_in_an_order_that_does_not_change():
    """A reviewer sees what is new, not what moved."""
    text = role_text(roles("runner", NEEDED))

    assert text == role_text(roles("runner", sorted(NEEDED, key=hash)))
    assert list(YAML(typ="safe").load_all(text)) == roles("runner", NEEDED)


def test_a_binding_for_each_role():
    """To a ServiceAccount, or to a user."""
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": "shop"}
    found = bindings("runner", NEEDED, account)

    assert [(one["kind"], one["roleRef"]["kind"], one["subjects"]) for one in found] == [
        ("ClusterRoleBinding", "ClusterRole", [account]),
        ("RoleBinding", "Role", [account]),
        ("RoleBinding", "Role", [account]),
    ]
    assert bindings("runner", NEEDED, {"kind": "User", "name": "eva"})[0]["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"


def test_what_is_missing_is_what_the_server_says(api: FakeApi, kube: Kube):
    """One question a right; nothing is tried out."""
    lacking = Permission("patch", "apps", "deployments", namespace="shop")
    api.granted = roles("runner", NEEDED - {lacking})

    assert missing(kube, NEEDED) == (lacking,)
    assert api.writes == []


def test_rights_of_all_names_hold_for_each():
    """Pods are called by chance."""
    used = {Permission("get", "", "pods", namespace="shop", name=f"carts-{n}") for n in range(3)}

    assert without_names(used) == {Permission("get", "", "pods", namespace="shop")}
    assert all(granted(one, roles("runner", without_names(used))) for one in used)


def test_a_role_that_can_be_applied(kube: Kube, api: FakeApi, tmp_path: Path):
    """The documents are manifests."""
    for document in (*roles("runner", {Permission("get", "", "pods", namespace="shop")}),):
        kube.apply(document)

    assert api.object("Role", "runner", "shop") is not None


def test_nobody_gives_away_what_he_has_not(api, kube):
    """By a Role of his own, or by binding one that is there: the fake server refuses both, as a real one does."""
    pods, group = Permission("get", "", "pods", namespace="shop"), "rbac.authorization.k8s.io"
    making = {Permission(verb, group, what, namespace="shop") for what in ("roles", "rolebindings") for verb in ("patch", "create")}
    (role,), (binding,) = roles("given", [pods]), bindings("given", [pods], {"kind": "User", "name": "eva"})
    (there,) = roles("there", [pods])
    api.put(there)
    bound = {**binding, "roleRef": {**binding["roleRef"], "name": "there"}}

    api.granted = roles("maker", making)
    for act in (kube.create, kube.apply):
        for one in (role, bound):
            with pytest.raises(Forbidden, match="not currently held: get pods in shop"):
                act(one)
    api.granted = roles("maker", {*making, pods})
    kube.apply(role)
    kube.create(bound)
