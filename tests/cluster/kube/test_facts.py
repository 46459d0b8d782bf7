"""What a run really ran on."""

from __future__ import annotations

from tasks.cluster.kube.facts import facts, images
from tasks.cluster.kube.rights import documents
from tasks.kube.labels import run_labels
from tests.cluster.kube.parts import RUN
from tests.cluster.kube.test_checks import node, settings


def pod(name, image, digest, *, on="n1", run=RUN):
    """A pod whose container runs."""
    status = {"containerStatuses": [{"name": "c", "image": "as the runtime calls it", "imageID": digest}]}
    metadata = {"name": name, "namespace": "shop", "labels": run_labels(run, "app") | {"app": name}}
    spec = {"nodeName": on, "containers": [{"name": "c", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def test_digests_are_those_that_ran():
    """By registry or by hand, under any runtime's prefix; one that has not started has none."""
    found = images(
        [
            pod("carts", "shop:1", "docker-pullable://example.org/shop@sha256:aa"),
            pod("orders", "shop:1", "docker-pullable://example.org/shop@sha256:aa"),
            pod("user", "shop:1", "sha256:bb"),
            pod("late", "shop:1", ""),
        ]
    )

    assert [(one["digest"], one["containers"]) for one in found] == [
        (None, ["late/c"]),
        ("example.org/shop@sha256:aa", ["carts/c", "orders/c"]),
        ("sha256:bb", ["user/c"]),
    ]
    assert {one["image"] for one in found} == {"shop:1"}


def test_nodes_are_those_that_were_used(kube, api):
    """Kernel, runtime, and what pods can have of each; pods of others do not count."""
    api.put(node("n1"))
    api.put(node("n2"))
    api.put(pod("carts", "shop:1", "sha256:aa"))
    api.put(pod("theirs", "shop:2", "sha256:bb", on="n2", run="20261126-000000-ffff"))
    found = facts(kube, "shop", RUN)

    assert found["version"] == "v1.36.3"
    assert found["nodes_used"] == ["n1"]
    assert [(one["name"], one["kernel"], one["runtime"], one["allocatable"]) for one in found["nodes"]] == [
        ("n1", "6.1", "containerd://2.1", {"cpu": "2", "memory": "4Gi"})
    ]
    assert [one["digest"] for one in found["images"]] == ["sha256:aa"]
    assert found["notes"] == []


def test_what_may_not_be_seen_is_unknown_and_said(kube, api):
    """Not empty."""
    api.put(pod("carts", "shop:1", "sha256:aa"))
    api.granted = documents(settings(create_namespace=False))["run"]
    found = facts(kube, "shop", RUN)

    assert found["nodes"] is None
    assert found["nodes_used"] == ["n1"]
    assert "configs/rbac/nodes.yaml" in found["notes"][0]
