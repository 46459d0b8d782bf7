"""What ``doctor`` tells of a cluster, with what to do."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from tasks.base.clock import iso
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.checks import findings, reach
from tasks.cluster.kube.finding import Finding
from tasks.cluster.kube.lacking import name_of
from tasks.cluster.kube.lease import Holder, new_lease
from tasks.cluster.kube.nodes import node_findings, requests_of, room, wanted_requests
from tasks.cluster.kube.rights import documents
from tasks.kube.access import KubeAccess
from tasks.kube.permission import Permission
from tests.cluster.kube.parts import OTHER, deployment


def settings(**more):
    """The section ``cluster``."""
    return KubeconfigCluster(provider="kubeconfig", namespace="shop", **more)


def node(name, *, ready="True", cpu="2", unschedulable=False, pressure="False"):
    """A node."""
    conditions = [{"type": "Ready", "status": ready}, {"type": "DiskPressure", "status": pressure}]
    info = {"containerRuntimeVersion": "containerd://2.1", "kernelVersion": "6.1", "architecture": "amd64", "kubeletVersion": "v1.36.3"}
    status = {"conditions": conditions, "nodeInfo": info, "allocatable": {"cpu": cpu, "memory": "4Gi"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"unschedulable": unschedulable}, "status": status}


def pod(on, cpu, *, phase="Running"):
    """A pod that asks for *cpu*."""
    containers = [{"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]
    return {"spec": {"nodeName": on, "containers": containers}, "status": {"phase": phase}}


@pytest.fixture
def look(kube, api, clock):
    """Everything that is found, by name; the server's clock is *skew_s* ahead."""
    api.add_kind("authentication.k8s.io/v1", "SelfSubjectReview", plural="selfsubjectreviews", namespaced=False)
    keep, ahead_s, api.user = api.objects.put, [0.0], "eva"

    def put(key, kind, item, **more):
        if kind.kind != "SelfSubjectReview":
            return keep(key, kind, item, **more)
        who = {"userInfo": {"username": api.user}}
        return {**item, "metadata": {"creationTimestamp": iso(int(clock.now_s + ahead_s[0]))}, "status": who}  # answered, never kept

    api.objects.put = put

    def looking(*wanted, skew_s=0.0, **more):
        ahead_s[0] = skew_s
        found = {}
        for one in findings(kube, settings(**more), wanted, clock=clock):
            found.setdefault(one.name, []).append(one)
        return found

    return looking


def test_a_good_cluster_has_nothing_to_complain_of(look, api):
    """Each line is ok; what cannot be seen is said all the same."""
    api.put(node("n1"))
    found = look()

    assert {one.state for several in found.values() for one in several} == {"ok"}
    assert "Kubernetes v1.36.3 of context fake" in found["api"][0].text
    assert "containerd://2.1, kernel 6.1 (amd64), kubelet v1.36.3" in found["runtime"][0].text
    assert "2.0 cores and 4.0 GiB" in found["room"][0].text
    for word in ("NetworkPolicies", "inotify", "sch_netem", "control groups"):
        assert word in found["not seen"][0].text
    assert api.writes == []


@pytest.mark.parametrize(("skew_s", "state"), [(0.4, "ok"), (-0.9, "ok"), (2.5, "warn"), (-2.5, "warn"), (90, "warn")])
def test_a_clock_that_is_off_by_more_than_a_second_is_told(look, api, skew_s, state):
    """The server tells whole seconds, which is taken into account."""
    assert look(skew_s=skew_s)["clock"][0].state == state


def test_missing_rights_are_told_with_the_role_that_would_do(look, api):
    """Exactly what is missing is in it."""
    role, *others = documents(settings(create_namespace=False))["run"]
    rules = [rule for rule in role["rules"] if "deployments" not in rule["resources"]]
    api.granted = [{**role, "rules": rules}, *others]
    (strict, *wanted) = look()["rights"]

    assert strict.state == "fail"
    assert "create deployments.apps in shop" in strict.text
    assert "- deployments" in strict.more
    assert "configmaps" not in strict.more
    assert {one.state for one in wanted} == {"warn"}
    assert any("configs/rbac/nodes.yaml" in one.fix for one in wanted)


def applied(text):
    """What stands in a text for ``kubectl apply -f``."""
    return list(YAML(typ="safe", pure=True).load_all(text))


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("eva", {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eva"}),
        ("system:serviceaccount:shop:tidegauge", {"kind": "ServiceAccount", "name": "tidegauge", "namespace": "shop"}),
    ],
)
def test_what_lacks_is_bound_to_whoever_lacks_it(look, api, user, subject):
    """Once it is applied beside the Roles that are there, every right is: nothing is taken away by it."""
    role, *others = documents(settings(create_namespace=False))["run"]
    api.granted, api.user = [{**role, "rules": role["rules"][1:]}, *others], user
    made = applied(look(create_namespace=False)["rights"][0].more)
    names = {one["metadata"]["name"] for one in made}

    assert [one["kind"] for one in made] == ["Role", "RoleBinding"]
    assert made[1]["subjects"] == [subject]
    assert names & {one["metadata"]["name"] for one in (role, *others)} == set()
    api.granted += made
    assert look(create_namespace=False)["rights"][0].state == "ok"


def test_a_server_that_does_not_say_who_we_are_leaves_the_binding_to_others(look, api):
    """Before 1.28 there is no such question."""
    api.granted = []
    api.kinds = [kind for kind in api.kinds if kind.kind != "SelfSubjectReview"]
    strict = look()["rights"][0]

    assert strict.fix.endswith("and bound to this login")
    assert {one["kind"] for one in applied(strict.more)} == {"Role"}


def test_roles_for_different_lacks_never_replace_each_other():
    """One that is applied a second time under the same name is the same one."""
    one, other = Permission("get", "", "pods", namespace="shop"), Permission("list", "", "pods", namespace="shop")

    assert name_of([one, other]) == name_of([other, one])
    assert len({name_of([one]), name_of([other]), name_of([one, other]), "tidegauge-run"}) == 4


def test_without_a_look_at_nodes_that_is_said(look, api):
    """A login for one namespace is enough for a run."""
    api.granted = documents(settings(create_namespace=False))["run"]
    found = look(create_namespace=False)

    assert found["rights"][0].state == "ok"
    assert "cannot be seen by this login" in found["nodes"][0].text
    assert "room" not in found


def test_to_make_a_namespace_is_asked_for_only_where_there_is_none(look, api):
    """With a Role in a namespace that an administrator made, nothing lacks."""
    api.granted = documents(settings(create_namespace=False))["run"]
    assert not any("create namespaces" in one.text for one in look()["rights"])
    api.remove("ServiceAccount", "default", "shop")
    api.remove("ConfigMap", "kube-root-ca.crt", "shop")
    api.remove("Namespace", "shop")

    assert any("create namespaces" in one.text and "configs/rbac/setup.yaml" in one.fix for one in look()["rights"])


def test_a_login_without_any_right_is_told_all_that_it_lacks(look, api):
    """It may not look whether the namespace is there either: that hides nothing."""
    api.granted = []
    strict, *wanted = look()["rights"]

    assert strict.state == "fail"
    assert "- deployments" in strict.more
    assert any("create namespaces" in one.text for one in wanted)


def test_a_namespace_is_looked_at(look, api):
    """There, to be made, to be asked for, or on its way out."""
    assert "shop is there" in look()["namespace"][0].text
    api.remove("ServiceAccount", "default", "shop")
    api.remove("ConfigMap", "kube-root-ca.crt", "shop")
    api.remove("Namespace", "shop")
    assert [one.state for one in look()["namespace"]] == ["ok"]
    assert [(one.state, one.fix) for one in look(create_namespace=False)["namespace"]] == [("fail", "kubectl create namespace shop")]


def test_a_namespace_that_refuses_the_helper_takes_faults_away(look, api):
    """They are named; the pod is asked for as a rehearsal."""
    found = api.object("Namespace", "shop")
    api.put({**found, "metadata": {**found["metadata"], "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    api.fail_next(403, message='violates PodSecurity "restricted:latest": privileged', reason="Forbidden", path="/pods", method="POST")
    found = look(node_helper=True)

    assert found["pod security"][0].state == "warn"
    assert "no latency, loss, reset, partition and pause" in found["node helper"][0].text
    assert "pod-security.kubernetes.io/enforce=privileged" in found["node helper"][0].fix
    assert api.all("Pod") == []


def test_a_namespace_that_lets_the_helper_in_says_so(look, api):
    """Nothing is made."""
    assert look(node_helper=True)["node helper"][0].state == "ok"
    assert api.all("Pod") == []


def test_who_is_at_work_is_told(look, api, clock):
    """And who has died there."""
    lease = new_lease("shop", Holder(OTHER, "there", "1"), 60, clock.now_s)
    api.put(lease)
    assert [(one.state, OTHER in one.text) for one in look()["lease"]] == [("fail", True)]
    clock.sleep(61)
    assert [(one.state, one.fix) for one in look()["lease"]] == [("warn", f"tidegauge down --run {OTHER}")]


def test_control_groups_are_told_by_the_kubelet(look, api):
    """Where the proxy is opted in to."""
    api.put(node("n1"))
    api.texts["/api/v1/nodes/n1/proxy/metrics"] = "# HELP x\nkubelet_cgroup_version 2\n"

    assert look(node_proxy=True)["cgroups"][0].text == "version 2 on 1 nodes"


def test_a_server_that_stops_answering_is_a_finding(look, api):
    """The others are looked at all the same."""
    api.put(node("n1"))
    api.fail_next(403, message="no", path="/api/v1/nodes", method="GET", reason="Forbidden")
    api.fail_next(404, message="what", path="selfsubjectreviews")
    found = look()

    assert found["cluster"][0].state == "fail"
    assert "namespace" in found


def test_nobody_there_is_a_finding(tmp_path):
    """With what the adapter says, and what to do."""
    found = reach(KubeAccess(str(tmp_path / "absent")))

    assert isinstance(found, Finding)
    assert (found.name, found.state) == ("cluster", "fail")
    assert "absent" in found.text


def test_nodes_that_take_no_pods_are_named():
    """Not ready, or cordoned."""
    found = list(node_findings([node("a"), node("b", ready="Unknown"), node("c", unschedulable=True), node("d", pressure="True")]))

    assert [(one.name, one.state) for one in found] == [("nodes", "warn"), ("pressure", "warn"), ("runtime", "ok")]
    assert "2 of 4 nodes take pods; not: b, c" in found[0].text
    assert "d has DiskPressure" in found[1].text
    assert [one.state for one in node_findings([node("b", ready="False")])] == ["fail"]
    assert [one.state for one in node_findings([])] == ["fail"]


def test_room_is_what_nobody_has_asked_for():
    """Ended pods have given it back; nodes that take no pods have none."""
    nodes = [node("a"), node("b", ready="False")]
    pods = [pod("a", "500m"), pod("a", "1", phase="Succeeded"), pod("b", "1")]

    assert "1.5 cores and 3.0 GiB can be asked for" in room(nodes, pods, {"cpu": 0, "memory": 0}).text
    assert room(nodes, pods, {"cpu": 1.6, "memory": 0}).state == "fail"
    assert room(nodes, None, {"cpu": 1.6, "memory": 0}).state == "ok"
    assert "cannot be seen" in room(nodes, None, {"cpu": 1.6, "memory": 0}).text


def test_what_manifests_ask_for_is_added_up():
    """By their replicas; a limit counts where no request is given, the largest init container where it is more."""
    many = deployment("a")
    many["spec"]["replicas"] = 3
    spec = {"containers": [{"resources": {"limits": {"cpu": "1"}}}], "initContainers": [{"resources": {"requests": {"cpu": "2"}}}]}

    assert wanted_requests([many, deployment("b")])["cpu"] == pytest.approx(0.04)
    assert requests_of(spec) == {"cpu": 2.0, "memory": 0.0}
