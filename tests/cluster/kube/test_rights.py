"""The shipped Roles are what a run needs: no more, no less, and nothing outside of its namespace."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from tasks.base.shipped import shipped
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.holding import Door, Held, forget, take
from tasks.cluster.kube.kinds import OURS, kind_of
from tasks.cluster.kube.lease import Holder
from tasks.cluster.kube.needs import RUN as RUN_DOCUMENT
from tasks.cluster.kube.needs import WHILE_IT_RUNS, needs, opted_in, permissions
from tasks.cluster.kube.rights import documents
from tasks.faults.kube.kinds import KINDS as FAULTS
from tasks.faults.kube.rights import rights_of
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import granted, role_text
from tasks.telemetry.config import KubeletSource
from tasks.telemetry.kube.rights import needed as telemetry_needs
from tests.cluster.kube.parts import RUN, config_map, deployment, service

SETTINGS = KubeconfigCluster(provider="kubeconfig", namespace="shop", create_namespace=False)
SHIPPED = ("setup", "run", "nodes", "nodes-proxy", "node-helper")
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "g"}, "rules": []}
BINDING = ROLE | {"kind": "RoleBinding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "g"}}
BINDING.pop("rules")
OF_EVERY_KIND = [
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "g"}},
    ROLE,
    BINDING,
    config_map("c"),
    {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d"}, "spec": {}},
    service("carts"),
    deployment("carts"),
    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}},
]


def a_whole_life(provider):
    """Everything that this folder does in a run, with an object of every kind."""
    door = Door(provider.kube, "shop", Holder(RUN), 60, provider.clock)
    held = Held(door, take(door))
    for change in provider.plan(OF_EVERY_KIND):
        provider.apply(change)
    for change in provider.plan([one for one in OF_EVERY_KIND if one["kind"] != "Job"]):
        provider.apply(change)
    provider.list()
    left = provider.down()
    held.give_back()
    assert not forget(provider.kube, "shop", RUN), "it was given back"
    return left


def unnamed(permission):
    """The same right for all objects, as most rules give it."""
    return replace(permission, name="")


def test_a_run_gets_by_with_the_role_alone(provider, api):
    """Whatever else is asked for is answered 403, as a real server would."""
    api.granted = documents(SETTINGS)["run"]

    assert a_whole_life(provider) == ()


def test_what_is_used_is_granted_and_what_is_granted_is_used(provider, api):
    """But for what others do while it runs, which is listed with its reasons."""
    api.granted = documents(SETTINGS)["run"]
    a_whole_life(provider)
    role = documents(SETTINGS)["run"]
    given = {unnamed(one) for one in permissions(needs(SETTINGS), RUN_DOCUMENT)}
    others = {Permission(verb, group, what, sub, "shop") for group, what, sub, verbs, _ in WHILE_IT_RUNS for verb in verbs}
    used = {unnamed(one) for one in provider.kube.used if one.namespace is not None}

    assert [str(one) for one in provider.kube.used if one.namespace is not None and not granted(one, role)] == []
    assert sorted(str(one) for one in given - others - used) == ["delete replicasets.apps in shop"]
    assert sorted(str(one) for one in used - given) == []


def test_what_telemetry_and_faults_ask_for_is_granted():
    """Every source and every kind of fault, by what they say themselves; the kubelets alone are a document of their own."""
    source = KubeletSource(kind="kubelet")
    asked = {*telemetry_needs(source, "shop"), *rights_of(FAULTS, "shop")}
    given = [one for documents_of in documents(SETTINGS).values() for one in documents_of if "rules" in one]
    run = [one for one in given if one["kind"] == "Role"]

    assert len(asked) > 20
    assert [str(one) for one in asked if not granted(one, given)] == []
    assert {str(one) for one in asked if not granted(one, run)} == {"get nodes/proxy in all namespaces"}


def test_nothing_outside_of_the_namespace_is_needed(provider, api):
    """Every right that was used is one of the namespace."""
    api.granted = documents(SETTINGS)["run"]
    a_whole_life(provider)

    assert [str(one) for one in provider.kube.used if one.namespace != "shop"] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_document_is_what_the_code_makes(name):
    """For the namespace of ``configs/kubernetes-demo.yaml``; comments aside."""
    text = re.sub(r"^#.*\n", "", shipped(f"rbac/{name}.yaml").read_text(), flags=re.MULTILINE)

    assert text == role_text(documents(SETTINGS.model_copy(update={"namespace": "tidegauge"}))[name])


@pytest.mark.parametrize("name", SHIPPED)
def test_no_document_is_wider_than_it_says(name):
    """No wildcard, no right to read Secrets, to become somebody else, or to give rights that one has not."""
    found = list(YAML(typ="safe", pure=True).load_all(shipped(f"rbac/{name}.yaml").read_text()))
    rules = [rule for one in found for rule in one.get("rules") or ()]
    words = {word for rule in rules for words in rule.values() for word in words}

    assert words & {"*", "secrets", "escalate", "bind", "impersonate", "deletecollection", "update"} == set()
    assert all(one["kind"] != "ClusterRole" or name.startswith("nodes") for one in found)
    assert all(one.get("roleRef", {}).get("name") != "cluster-admin" for one in found)


def test_what_manifests_bring_is_added():
    """Kinds that we do not make ourselves, known ones and those of somebody's definitions."""
    kinds = [kind_of(ObjectRef(version, kind, "shop", "x")) for version, kind in (("apps/v1", "StatefulSet"), ("example.org/v1", "Policy"))]
    role, _ = documents(SETTINGS, kinds=kinds)["run"]
    given = {(group, what) for rule in role["rules"] for group in rule["apiGroups"] for what in rule["resources"]}

    assert {("apps", "statefulsets"), ("example.org", "policies")} <= given
    assert granted(Permission("create", "apps", "statefulsets", namespace="shop"), [role])
    assert not granted(Permission("create", "apps", "statefulsets", namespace="other"), [role])


def test_whoever_is_named_gets_the_rights():
    """A user or a group in the place of the ServiceAccount, which is not made then."""
    found = documents(SETTINGS, subject={"kind": "User", "name": "ada"})

    assert [one["kind"] for one in found["setup"]] == ["Namespace"]
    assert found["run"][1]["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}]


def test_what_reaches_further_is_said():
    """Nothing of it where nothing was opted in to."""
    wide = SETTINGS.model_copy(update={"node_proxy": True, "node_helper": True, "insecure": True, "allow_load_balancers": True})

    assert opted_in(SETTINGS) == ()
    assert [text.partition(" ")[0] for text in opted_in(wide)] == [
        "cluster.node_proxy",
        "cluster.node_helper",
        "cluster.insecure",
        "cluster.allow_load_balancers",
    ]


def test_the_table_of_kinds_and_the_servers_agree(kube):
    """A wrong plural would grant nothing."""
    for kind in OURS:
        assert kube.path_of(kind.ref("shop")).split("/")[-2] == kind.plural
