"""Reading and writing objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.base.errors import DocumentError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Conflict, Forbidden, Invalid, NotFound
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import roles
from tests.kube.fake_api import FakeApi

CARTS = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "carts", "namespace": "shop", "labels": {"app": "carts"}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "carts", "image": "carts:1"}]}}},
}
REF = ObjectRef.of(CARTS)


def settings(name: str, **data: str) -> dict[str, object]:
    """A ConfigMap in the shop."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data}


def test_what_is_applied_is_there(api: FakeApi, kube: Kube):
    """And applied again, it stays as it is."""
    first, second = kube.apply(CARTS), kube.apply(CARTS)

    assert api.object("Deployment", "carts", "shop") == first
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_apply_takes_away_what_it_had_put(kube: Kube):
    """But not what others put."""
    kube.apply(settings("s", ours="1", gone="2"))
    kube.patch(ObjectRef.of(settings("s")), {"data": {"theirs": "3"}})

    assert kube.apply(settings("s", ours="1"))["data"] == {"ours": "1", "theirs": "3"}


def test_a_dry_run_changes_nothing(api: FakeApi, kube: Kube):
    """The server says what it would look like."""
    assert kube.apply(CARTS, dry_run=True)["spec"]["replicas"] == 2
    assert kube.create(CARTS, dry_run=True)["spec"]["replicas"] == 2
    assert api.object("Deployment", "carts", "shop") is None
    kube.apply(CARTS)

    assert kube.patch(REF, {"spec": {"replicas": 5}}, dry_run=True)["spec"]["replicas"] == 5
    assert kube.delete(REF, dry_run=True)
    assert api.object("Deployment", "carts", "shop")["spec"]["replicas"] == 2
    assert len(api.writes) == 1


def test_find_shows_what_there_is(kube: Kube):
    """None where there is nothing."""
    assert kube.find(REF) is None
    assert kube.apply(CARTS) == kube.find(REF)


def test_create_wants_nothing_to_be_there(kube: Kube):
    """So one of two wins."""
    kube.create(CARTS)

    with pytest.raises(Conflict):
        kube.create(CARTS)


@pytest.mark.parametrize(
    ("how", "body", "images"),
    [
        ("merge", {"spec": {"template": {"spec": {"containers": [{"name": "other", "image": "x"}]}}}}, ["x"]),
        ("strategic", {"spec": {"template": {"spec": {"containers": [{"name": "other", "image": "x"}]}}}}, ["carts:1", "x"]),
        ("json", [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x"}], ["x"]),
    ],
)
def test_a_patch_is_laid_over_in_one_of_three_ways(kube: Kube, how, body, images):
    """Lists are replaced, merged by name, or changed by operations."""
    kube.apply(CARTS)

    assert [one["image"] for one in kube.patch(REF, body, how=how)["spec"]["template"]["spec"]["containers"]] == images


def test_a_subresource_is_patched(api: FakeApi, kube: Kube):
    """The scale of a Deployment is its replicas."""
    kube.apply(CARTS)

    assert kube.patch(REF, {"spec": {"replicas": 0}}, subresource="scale")["kind"] == "Scale"
    assert api.object("Deployment", "carts", "shop")["spec"]["replicas"] == 0


def test_a_patch_of_another_version_is_a_conflict(kube: Kube):
    """Whoever saw an older one has to look again."""
    old = kube.apply(settings("s", a="1"))["metadata"]["resourceVersion"]
    kube.apply(settings("s", a="2"))

    with pytest.raises(Conflict):
        kube.patch(ObjectRef.of(settings("s")), {"metadata": {"resourceVersion": old}, "data": {"a": "3"}})


def test_a_delete_takes_along_what_it_owns(api: FakeApi, kube: Kube):
    """A Deployment's pods, through whoever owns them."""
    uid = kube.apply(CARTS)["metadata"]["uid"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "ownerReferences": [{"uid": uid}]}}
    api.put(pod)

    assert kube.delete(REF)
    assert api.all("Pod") == []


def test_what_has_a_finalizer_lingers(api: FakeApi, kube: Kube):
    """Delete says that it was there; a look says that it still is; it goes with its finalizer."""
    stuck = settings("s")
    ref = ObjectRef.of(stuck)
    stuck["metadata"] = {**stuck["metadata"], "finalizers": ["somebody/else"]}  # type: ignore[dict-item]
    kube.apply(stuck)

    assert kube.delete(ref)
    assert kube.find(ref)["metadata"]["deletionTimestamp"]
    kube.patch(ref, {"metadata": {"finalizers": None}})
    assert kube.find(ref) is None


def test_a_namespace_that_ends_takes_nothing_new(api: FakeApi, kube: Kube):
    """It lingers while something in it does, and the sentence says where to look."""
    stuck = settings("s")
    stuck["metadata"] = {**stuck["metadata"], "finalizers": ["somebody/else"]}  # type: ignore[dict-item]
    kube.apply(stuck)
    kube.delete(ObjectRef("v1", "Namespace", None, "shop"))

    with pytest.raises(Forbidden, match=r"being terminated\n.*status.conditions"):
        kube.apply(settings("new"))
    kube.patch(ObjectRef.of(settings("s")), {"metadata": {"finalizers": None}})
    assert api.object("Namespace", "shop") is None


def test_a_namespace_has_to_be_there(kube: Kube):
    """The server says which one is missing."""
    with pytest.raises(NotFound, match='"market" not found'):
        kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": "market"}})


def test_what_belongs_to_nobody_is_never_written(api: FakeApi, kube: Kube):
    """By no verb; the server is not even asked for the path."""
    before = len(api.requests)
    foreign = {**CARTS, "metadata": {"name": "coredns", "namespace": "kube-system"}}
    ref = ObjectRef.of(foreign)
    for write in (
        lambda: kube.apply(foreign),
        lambda: kube.create(foreign, dry_run=True),
        lambda: kube.patch(ref, {}),
        lambda: kube.delete(ref),
        lambda: kube.execute("kube-system", "coredns", "coredns", ["true"], timeout_s=1),
        lambda: kube.delete(ObjectRef("v1", "Namespace", None, "default")),
    ):
        with pytest.raises(DocumentError, match="never written"):
            write()

    assert len(api.requests) == before


def test_a_kind_that_is_not_known_is_told_with_the_nearest(kube: Kube):
    """A slip, or a definition that is not installed."""
    with pytest.raises(NotFound, match=r"knows no Deploymint in apps/v1\n.*did you mean Deployment"):
        kube.path_of(ObjectRef("apps/v1", "Deploymint", "shop", "carts"))
    with pytest.raises(NotFound, match=r"knows no NetworkChaos in chaos-mesh.org/v1alpha1\n.*install what defines"):
        kube.path_of(ObjectRef("chaos-mesh.org/v1alpha1", "NetworkChaos", "shop", "delay"))


def test_a_kind_that_was_just_installed_is_known(api: FakeApi, kube: Kube):
    """What was not known is asked for again; what was is not."""
    ref = ObjectRef("chaos-mesh.org/v1alpha1", "PodChaos", "shop", "kill")
    with pytest.raises(NotFound):
        kube.path_of(ref)
    api.add_kind("chaos-mesh.org/v1alpha1", "PodChaos", plural="podchaos")
    paths = [kube.path_of(ref) for _ in range(3)]

    assert set(paths) == {"/apis/chaos-mesh.org/v1alpha1/namespaces/shop/podchaos/kill"}
    assert len(api.asked("/apis/chaos-mesh.org/v1alpha1")) == 2


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ObjectRef("v1", "Pod", "shop", "p"), "/api/v1/namespaces/shop/pods/p"),
        (ObjectRef("v1", "Namespace", None, "shop"), "/api/v1/namespaces/shop"),
        (ObjectRef("v1", "Node", "ignored", "n"), "/api/v1/nodes/n"),
        (ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "shop", "np"), "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/np"),
        (ObjectRef("v1", "Pod", "../x", "a/b?c"), "/api/v1/namespaces/..%2Fx/pods/a%2Fb%3Fc"),
    ],
)
def test_paths_are_the_servers_own(kube: Kube, ref, path):
    """A name cannot lead elsewhere."""
    assert kube.path_of(ref) == path


def test_a_pods_name_cannot_lead_elsewhere(api: FakeApi, kube: Kube):
    """Neither into another path nor into the query."""
    with pytest.raises(NotFound):
        list(kube.log("shop", "../../../secrets/s?x=", "c"))
    with pytest.raises(NotFound):
        kube.execute("shop", "p/../q?x=1#", "c", ["true"], timeout_s=5)

    assert [seen.path for seen in api.requests[-2:]] == [
        "/api/v1/namespaces/shop/pods/../../../secrets/s?x=/log",
        "/api/v1/namespaces/shop/pods/p/../q?x=1#/exec",
    ]


def test_an_object_of_a_namespace_has_to_name_it(kube: Kube):
    """It does not end up in the one called default."""
    with pytest.raises(Invalid, match="names no namespace"):
        kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}})


def test_items_are_complete_objects(api: FakeApi, kube: Kube):
    """Lists leave kinds out; we do not."""
    kube.apply(CARTS)

    assert [(one["kind"], one["apiVersion"]) for one in kube.items("/apis/apps/v1/deployments", labels="app=carts")] == [
        ("Deployment", "apps/v1")
    ]
    assert list(kube.items("/apis/apps/v1/deployments", labels="app=orders")) == []
    assert list(kube.items("/apis/apps/v1/deployments", fields="metadata.name=orders")) == []


def test_texts_are_read_with_a_query(api: FakeApi, kube: Kube):
    """What a proxy path leads to."""
    api.texts["/api/v1/nodes/node1/proxy/metrics/cadvisor"] = lambda seen: f"container_x {seen.asked('a')}\n"

    assert kube.text("/api/v1/nodes/node1/proxy/metrics/cadvisor", {"a": "ü&b"}) == "container_x ü&b\n"


def test_a_log_is_read_line_by_line(api: FakeApi, kube: Kube):
    """As it was written, and what was asked for is passed on."""
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
    api.logs["shop", "p", "c"] = [b"first", b"", b"\xff second"]

    assert list(kube.log("shop", "p", "c", since_s=0.2, timestamps=True)) == [b"first", b"", b"\xff second"]
    assert [(one.asked("sinceSeconds"), one.asked("timestamps"), one.asked("container")) for one in api.asked("/log")] == [
        ("1", "true", "c")
    ]


def test_a_followed_log_goes_on(api: FakeApi, kube: Kube):
    """Each line as it is written, until the pod is gone."""
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
    lines = api.logs["shop", "p", "c"] = [b"first"]
    found = kube.log("shop", "p", "c", follow=True)
    first = next(found)
    lines.append(b"second")

    assert (first, next(found)) == (b"first", b"second")
    api.remove("Pod", "p", "shop")
    assert list(found) == []


def test_a_cut_log_ends(api: FakeApi, kube: Kube):
    """With the lines that were whole."""
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
    api.logs["shop", "p", "c"] = [b"x" * 100, b"y" * 100]
    api.cut_next(340, path="/log")

    assert list(kube.log("shop", "p", "c")) == [b"x" * 100]


def test_no_pod_has_no_log(kube: Kube):
    """The first line that is asked for says so."""
    with pytest.raises(NotFound, match='"p" not found'):
        next(kube.log("shop", "p", "c"))


def test_the_rights_that_were_used_are_kept(api: FakeApi, kube: Kube):
    """Each with the verb that the server looks for; what everybody may is not in it."""
    kube.apply(CARTS)
    kube.apply(CARTS)
    list(kube.items("/api/v1/namespaces/shop/pods"))
    kube.allowed(Permission("get", "", "secrets"))
    kube.version()

    assert {str(one) for one in kube.used} == {
        "patch deployments.apps carts in shop",
        "create deployments.apps in shop",
        "list pods in shop",
    }


def test_with_the_rights_that_were_used_it_works_again(api: FakeApi, kube: Kube, tmp_path: Path):
    """And with one less it does not: the record is neither too long nor too short."""

    def everything(one: Kube) -> None:
        one.apply(CARTS)
        one.patch(REF, {"spec": {"replicas": 1}}, subresource="scale")
        one.find(REF)
        list(one.items("/api/v1/namespaces/shop/pods"))
        one.create(settings("s"))
        one.delete(REF)
        one.delete(ObjectRef.of(settings("s")))

    everything(kube)
    access = KubeAccess(str(api.kubeconfig(tmp_path / "second")))
    api.granted = roles("runner", kube.used)
    everything(Kube.connect(access))
    for lacking in kube.used:
        api.granted = roles("runner", kube.used - {lacking})
        with pytest.raises(Forbidden, match="cannot"):
            everything(Kube.connect(access))
        api.granted = None
        for ref in (REF, ObjectRef.of(settings("s"))):
            kube.delete(ref)


def test_the_server_says_what_one_may(api: FakeApi, kube: Kube):
    """By its own judgement of a Role."""
    api.granted = roles("runner", {Permission("get", "", "pods", "log", namespace="shop")})

    assert kube.allowed(Permission("get", "", "pods", "log", namespace="shop"))
    assert not kube.allowed(Permission("get", "", "pods", namespace="shop"))
    assert not kube.allowed(Permission("get", "", "pods", "log"))
