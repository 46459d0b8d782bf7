"""Nothing of a run is left, or it is told; nothing of others is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base.errors import TidegaugeError
from tasks.cluster.kube.kinds import further_kinds
from tasks.cluster.kube.leftovers import why_there
from tasks.cluster.kube.manifests import Bounds
from tasks.kube.labels import run_labels
from tests.cluster.kube.parts import OTHER, RUN, config_map, deployment, service

KINDS = ("ConfigMap", "Service", "Deployment", "Pod", "ReplicaSet", "PersistentVolumeClaim", "Secret")


def everything(api):
    """Names of all objects, by kind and namespace."""
    return {(kind, one["metadata"].get("namespace"), one["metadata"]["name"]) for kind in KINDS for one in api.all(kind)}


def settle(provider, wanted):
    """Apply the whole plan."""
    for change in provider.plan(wanted):
        provider.apply(change)


def in_new(provider):
    """The same run, in a namespace that it makes."""
    return replace(provider, bounds=Bounds(RUN, ("new",)))


def with_metadata(found, **metadata):
    """*found* with more metadata."""
    return {**found, "metadata": {**found["metadata"], **metadata}}


@pytest.fixture
def shop(api, provider):
    """An app of three kinds, with what controllers would make of it, beside things of others."""
    api.put(config_map("theirs", "shop"))
    api.put(with_metadata(config_map("other-run", "shop"), labels=run_labels(OTHER, "app")))
    before = everything(api)
    settle(provider, [deployment("carts"), service("carts"), config_map("c")])
    owner = api.object("Deployment", "carts", "shop")["metadata"]["uid"]
    labels = run_labels(RUN, "app")
    owned = {"namespace": "shop", "labels": labels}
    by = [{"controller": True, "kind": "Deployment", "name": "carts", "uid": owner}]
    rs = api.put({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "carts-1", "ownerReferences": by, **owned}})
    by = [{"controller": True, "kind": "ReplicaSet", "name": "carts-1", "uid": rs["metadata"]["uid"]}]
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "carts-1-x", "ownerReferences": by, **owned}, "spec": {}})
    return before


def test_all_of_a_run_goes_and_nothing_else(provider, api, shop):
    """The namespace was there before, so it stays; what pods are made of goes with its maker."""
    assert provider.down() == ()
    assert everything(api) == shop
    assert provider.down() == ()
    deleted = [seen.path.rpartition("/")[2] for seen in api.asked(method="DELETE")]
    assert deleted == ["carts", "carts", "c"]


def test_kinds_that_others_have_defined_go_too(provider, api):
    """By their names, which a killed run has left in its note: no table has them."""
    api.add_kind("a.test/v1", "Widget")
    widget = {"apiVersion": "a.test/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    settle(provider, [widget, config_map("c")])
    next_one = replace(provider, bounds=replace(provider.bounds, kinds=further_kinds([widget, config_map("c")])))

    assert next_one.down() == ()
    assert (api.all("Widget"), api.object("ConfigMap", "c", "shop")) == ([], None)


def test_addresses_of_ones_own_go_and_those_that_a_controller_copies_are_left_to_it(provider, api):
    """A controller gives Endpoints all labels of their Service, and takes them away with it."""
    own = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}}
    settle(provider, [service("db"), service("web"), own])
    copy = {"name": "web", "namespace": "shop", "labels": run_labels(RUN, "app")}
    copied = [{"manager": "kube-controller-manager", "operation": "Update"}]
    api.put({"apiVersion": "v1", "kind": "Endpoints", "metadata": {**copy, "managedFields": copied}})

    assert provider.plan([service("db"), service("web"), own]) == ()
    assert provider.down() == ()
    assert [one["metadata"]["name"] for one in api.all("Endpoints")] == ["web"]


def test_a_namespace_that_the_run_made_goes_with_it(provider, api):
    """After everything in it."""
    settle(in_new(provider), [config_map("a"), service("s")])

    assert in_new(provider).down() == ()
    assert api.object("Namespace", "new") is None
    assert in_new(provider).down() == ()


@pytest.mark.parametrize(
    "theirs",
    [config_map("theirs", "new"), with_metadata(config_map("run", "new"), labels=run_labels(OTHER, "app"))],
    ids=["a user's", "another run's"],
)
def test_a_namespace_with_things_of_others_stays(provider, api, theirs):
    """It is told what is in it; what everybody has in a namespace does not count."""
    settle(in_new(provider), [config_map("a")])
    api.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "new"}})
    api.put(theirs)
    (left,) = in_new(provider).down()

    assert left.name == "namespace/new"
    assert f"holds what this run has not made: configmap/{theirs['metadata']['name']} in new" in left.why
    assert {name for _, namespace, name in everything(api) if namespace == "new"} == {theirs["metadata"]["name"]}
    api.remove("ConfigMap", theirs["metadata"]["name"], "new")
    assert in_new(provider).down() == ()
    assert api.object("Namespace", "new") is None


def test_a_namespace_that_another_run_holds_stays(provider, api):
    """Its Lease is enough."""
    settle(in_new(provider), [config_map("a")])
    labels = run_labels(OTHER, "lease")
    api.put(
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tidegauge", "namespace": "new", "labels": labels}}
    )
    (left,) = in_new(provider).down()

    assert "lease/tidegauge in new" in left.why
    assert api.object("Namespace", "new") is not None


def test_what_is_stuck_on_a_finalizer_is_told_until_it_is_gone(provider, api, shop):
    """With the finalizer's name; the rest goes all the same, and the next time nothing is left."""
    api.put(with_metadata(api.object("ConfigMap", "c", "shop"), finalizers=["example.org/keep"]))
    first, second = provider.down(), provider.down()

    assert first == second
    assert [(one.name, one.why) for one in first] == [
        ("configmap/c in shop", "is being removed, but waits for its finalizer example.org/keep")
    ]
    api.put(with_metadata(api.object("ConfigMap", "c", "shop"), finalizers=[]))
    assert provider.down() == ()
    assert everything(api) == shop


def test_a_namespace_waits_for_what_is_stuck_in_it(provider, api):
    """Both are told."""
    settle(in_new(provider), [config_map("a")])
    api.put(with_metadata(api.object("ConfigMap", "a", "new"), finalizers=["x/y"]))

    assert [one.name for one in in_new(provider).down()] == ["configmap/a in new", "namespace/new"]


def test_what_somebody_makes_anew_is_told(provider, api, shop):
    """An operator of the user's that wants it to be there."""
    labels = run_labels(RUN, "app")

    def operator(_):
        if api.object("ConfigMap", "again", "shop") is None:
            api.put(with_metadata(config_map("again", "shop"), labels=labels))

    settle(provider, [deployment("carts"), service("carts"), config_map("c"), config_map("again")])
    api.control(operator)
    api.remove("ConfigMap", "again", "shop")
    api.put(config_map("nudge", "shop"))
    real = api.objects.delete

    def delete(key):
        found = real(key)
        operator(found)
        return found

    api.objects.delete = delete
    (left,) = provider.down()

    assert (left.name, left.why) == ("configmap/again in shop", "was removed, and is there again: somebody makes it anew")


def test_what_was_on_its_way_while_we_looked_is_removed_too(provider, api, shop):
    """A request of a process that was killed arrives after the first look."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "late", "namespace": "shop"}}
    late = with_metadata(account, labels=run_labels(RUN, "app"))
    real, done = api.objects.delete, []

    def delete(key):
        found = real(key)
        if not done:
            done.append(api.put(late))
        return found

    api.objects.delete = delete

    assert provider.down() == ()
    assert api.object("ServiceAccount", "late", "shop") is None
    assert everything(api) == shop


def test_pods_whose_controller_was_removed_without_them_go_too(provider, api, shop):
    """As ``kubectl delete --cascade=orphan`` leaves them."""
    pod = api.object("Pod", "carts-1-x", "shop")
    api.remove("Deployment", "carts", "shop")
    api.put({name: value for name, value in pod.items() if name != "metadata"} | {"metadata": {**pod["metadata"], "resourceVersion": ""}})

    assert provider.down() == ()
    assert everything(api) == shop


def test_what_may_not_be_removed_is_told_with_the_server_s_reason(provider, api, shop):
    """And the rest goes."""
    api.fail_next(403, message="services is forbidden: User cannot delete", reason="Forbidden", method="DELETE", path="/services/")
    (left,) = provider.down()

    assert left.name == "service/carts in shop"
    assert "User cannot delete" in left.why
    assert provider.down() == ()


def test_volumes_that_outlive_their_claims_are_told(provider, api):
    """With their policy; once more the next time only where the namespace is gone."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {"volumeName": "pv-1"}}
    settle(in_new(provider), [claim])
    spec = {"claimRef": {"namespace": "new", "name": "data"}, "persistentVolumeReclaimPolicy": "Retain"}
    api.put({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"}, "spec": spec})
    api.put(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "other"},
            "spec": {"claimRef": {"namespace": "shop", "name": "x"}},
        }
    )
    first, second = in_new(provider).down(), in_new(provider).down()

    assert [(one.name, one.why) for one in first] == [
        ("persistentvolume/pv-1", "was bound to the claim data in new; its reclaim policy is Retain")
    ]
    assert second == first
    api.remove("PersistentVolume", "pv-1")
    assert in_new(provider).down() == ()


def test_volumes_that_cannot_be_seen_are_named_all_the_same(provider, api):
    """The claims said what they were bound to."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {"volumeName": "pv-1"}}
    settle(provider, [claim])
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    verbs = ["get", "list", "create", "patch", "delete"]
    resources = [
        ("", ["pods", "services", "configmaps", "serviceaccounts", "persistentvolumeclaims", "namespaces"]),
        ("apps", ["deployments", "replicasets"]),
        ("batch", ["jobs"]),
        ("rbac.authorization.k8s.io", ["roles", "rolebindings"]),
    ]
    rules = [{**rule, "apiGroups": [group], "resources": names, "verbs": verbs} for group, names in resources]
    api.granted = [{"kind": "Role", "metadata": {"name": "r", "namespace": "shop"}, "rules": rules}]
    (left,) = provider.down()

    assert left.name == "persistentvolume/pv-1"
    assert "this login may not look at persistent volumes" in left.why


def test_killed_at_any_request_the_next_one_finishes_it(provider, api, shop):
    """The server is gone after the first, second, ... removal; taking down again leaves nothing."""
    wanted = [deployment("carts"), service("carts"), config_map("c")]
    for survived in range(3):
        settle(provider, wanted)
        seen = len(api.asked(method="DELETE"))
        real = api.objects.delete

        def delete(key, real=real, seen=seen, survived=survived):
            if len(api.asked(method="DELETE")) - seen > survived:
                raise ConnectionAbortedError
            return real(key)

        api.objects.delete = delete
        with pytest.raises(TidegaugeError):
            provider.down()
        api.objects.delete = real

        assert provider.down() == ()
        assert everything(api) == shop


def test_a_pod_of_a_lost_node_is_told_as_such():
    """A helper on a node says that it is one."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "shop", "deletionTimestamp": "x", "labels": run_labels(RUN, "fault")},
        "spec": {"nodeName": "node7"},
    }

    assert why_there(pod) == "its node node7 has not said that it ended (a helper on the node); see whether the node is there"
