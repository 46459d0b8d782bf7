"""The shipped manifests of the Sock Shop."""

from __future__ import annotations

import pytest

from tasks.app.config import SockShop
from tasks.app.files import app_of
from tasks.app.kube.manifests import doubts_of, manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.reaching import containers_of, entrance, workloads_of
from tasks.app.kube.rules import Place
from tasks.app.resolve import processes
from tasks.base.errors import DocumentError, PreflightError
from tasks.base.yaml_source import read_source
from tests.app.kube.pages import pages_of
from tests.structure.code import ROOT

HERE = Placement("socks", "run-1")
SHOP = app_of(SockShop(kind="sock-shop"))
MANIFESTS = manifests_of(SHOP, HERE)
OPEN = {"user-db", "catalogue-db", "queue-master"}
"""Upstream images that start as root, or write to themselves."""


def test_its_fourteen_workloads_and_services_are_there():
    """Of the names that the published images call each other by."""
    assert doubts_of(SHOP, Place("socks")) == ()
    assert len(SHOP.names) == 14
    assert {one["metadata"]["name"] for one in MANIFESTS if one["kind"] == "Service"} == set(SHOP.names) == set(workloads_of(MANIFESTS))
    assert entrance(SHOP, MANIFESTS, "socks").address == "http://front-end.socks:80"


def test_metrics_are_where_each_image_has_them():
    """queue-master has another path than the rest, rabbitmq an exporter beside it; databases have none."""
    found = {name: page for name, page in pages_of(MANIFESTS).items() if page is not None}

    assert found.pop("front-end") == "8079/metrics"
    assert found.pop("queue-master") == "80/prometheus"
    assert found.pop("rabbitmq") == "9090/metrics"
    assert found == dict.fromkeys(["catalogue", "carts", "orders", "payment", "shipping", "user"], "80/metrics")


def test_every_image_is_pinned_and_mongo_is_old_enough():
    """No tag that moves; carts and orders speak a protocol that MongoDB 5.1 no longer knows."""
    images = {one["name"]: one["image"] for workload in workloads_of(MANIFESTS).values() for _, one in containers_of(workload)}

    assert len(images) == 15
    assert [name for name, image in images.items() if ":" not in image or image.endswith(":latest")] == []
    assert images["carts-db"] == images["orders-db"] == "mongo:4.4"


def test_every_container_is_limited_and_says_when_it_is_ready():
    """Without a limit of CPU there is no throttling to be seen, and none can be taken away."""
    for name, workload in workloads_of(MANIFESTS).items():
        spec = workload["spec"]["template"]["spec"]
        assert not spec["automountServiceAccountToken"]
        for _, one in containers_of(workload):
            assert set(one["resources"]["limits"]) == set(one["resources"]["requests"]) == {"cpu", "memory"}
            if one["name"] == name:
                assert "readinessProbe" in one
                assert name in OPEN or one["securityContext"]["readOnlyRootFilesystem"]


def test_an_order_reaches_everything_that_an_order_needs():
    """Queue and databases included; a page without data reaches nobody."""
    assert SHOP.reached(["POST /orders"]) == set(SHOP.names) - {"catalogue", "catalogue-db"}
    assert SHOP.reached(["GET /category.html"]) == {"front-end"}
    assert SHOP.callers_of("queue-master") == ("rabbitmq",)


def test_the_journeys_that_come_with_it_are_known_to_it():
    """Each request of the two shipped journey sets stands among its endpoints."""
    for name in ("sock-shop", "sock-shop-mixed"):
        journeys = read_source(ROOT / "configs" / "journeys" / f"{name}.yaml", what="journeys").value["journeys"]
        asked = {f"{request['method']} {request['path'].partition('?')[0]}" for one in journeys for request in one["requests"]}
        assert {one.replace("{item}", "{id}") for one in asked} <= set(SHOP.endpoints)


def test_images_of_forks_take_the_place_of_the_published_ones():
    """Container by container; one that is not there is told with the nearest."""
    fork = app_of(SockShop(kind="sock-shop", images={"catalogue": "fork.test/catalogue:9", "rabbitmq-exporter": "fork.test/exporter:1"}))
    images = {
        one["name"]: one["image"] for workload in workloads_of(manifests_of(fork, HERE)).values() for _, one in containers_of(workload)
    }

    assert (images["catalogue"], images["rabbitmq-exporter"]) == ("fork.test/catalogue:9", "fork.test/exporter:1")
    with pytest.raises(DocumentError, match=r"app.images: there is no container catalog; did you mean catalogue\?"):
        manifests_of(app_of(SockShop(kind="sock-shop", images={"catalog": "fork.test/x:1"})), HERE)


def test_metrics_of_forks_can_be_named():
    """Images from later sources call the histogram another name."""
    assert app_of(SockShop(kind="sock-shop", required_metrics=("x",))).required_metrics == ("x",)
    assert "request_duration_seconds_bucket" in SHOP.required_metrics


def test_it_cannot_run_as_processes():
    """There is nothing to start here; the sentence says what to name instead."""
    with pytest.raises(PreflightError, match="sock-shop runs on Kubernetes only") as caught:
        processes(SHOP, {}, {}, ROOT, "python")
    assert "provider: kubeconfig" in (caught.value.next_step or "")
