"""From an app of programs to Deployments and Services."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tidegauge
from tasks.app.config import DemoShop, OwnApp, ServiceConfig
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import SERVICE_LABEL, Placement
from tasks.app.kube.reaching import entrance
from tasks.app.kube.rendering import rendered
from tasks.app.model import App
from tasks.base.errors import DocumentError
from tests.app.kube.pages import pages_of

HERE = Placement("shop", "run-1")
SHOP = app_of(DemoShop())


def own(*services: ServiceConfig, **more: Any) -> App:
    return app_of(OwnApp(kind="own-app", services=services, entry=services[0].name, **more))


def objects(app: App, kind: str) -> dict[str, dict[str, Any]]:
    """The objects of one kind by name."""
    return {one["metadata"]["name"]: one for one in rendered(app, HERE) if one["kind"] == kind}


def container(app: App, name: str) -> dict[str, Any]:
    """The only container of a service."""
    (one,) = objects(app, "Deployment")[name]["spec"]["template"]["spec"]["containers"]
    return one


def test_each_service_is_a_deployment_and_a_service_of_its_name():
    """In the app's order, Services first: who starts finds the names of all others."""
    found = [(one["kind"], one["metadata"]["name"]) for one in rendered(SHOP, HERE)]

    assert found == [*(("Service", name) for name in SHOP.names), *(("Deployment", name) for name in SHOP.names)]


def test_every_object_and_pod_says_whose_it_is():
    """The run's labels on all; pods also say which service they are, and that is what is selected by."""
    for one in rendered(SHOP, HERE):
        assert one["metadata"]["namespace"] == "shop"
        assert HERE.labels().items() <= one["metadata"]["labels"].items()
    for name, one in objects(SHOP, "Deployment").items():
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert labels == {**HERE.labels(), "app": name, SERVICE_LABEL: name}
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert objects(SHOP, "Service")[name]["spec"]["selector"].items() <= labels.items()


def test_addresses_are_those_of_services():
    """Peers are NAME:80, the own port is 8080, data lie in /data, and it listens on all addresses of its pod."""
    env = {one["name"]: one["value"] for one in container(SHOP, "orders")["env"]}

    assert env == {
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "DATA_DIR": "/data",
        "CARTS_URL": "http://carts:80",
        "PAYMENT_URL": "http://payment:80",
        "SHIPPING_URL": "http://shipping:80",
        "USER_URL": "http://user:80",
    }
    assert container(SHOP, "orders")["command"] == ["python3", "-m", "tasks.shop", "orders"]
    (port,) = objects(SHOP, "Service")["orders"]["spec"]["ports"]
    assert (port["port"], port["targetPort"], container(SHOP, "orders")["ports"][0]["containerPort"]) == (80, "http", 8080)


def test_a_service_that_insists_on_its_port_gets_it():
    """Its Service is reached at 80 all the same; and HOST of one's own is left alone."""
    app = own(ServiceConfig(name="web", command=("x", "{port}"), port=9001, image="a.test/web:1", env={"HOST": "::"}))

    assert container(app, "web")["ports"][0]["containerPort"] == 9001
    assert container(app, "web")["command"] == ["x", "9001"]
    assert container(app, "web")["env"] == [{"name": "HOST", "value": "::"}]
    assert objects(app, "Service")["web"]["spec"]["ports"][0]["port"] == 80


def test_pods_have_no_more_rights_than_they_need():
    """Nobody's id, nothing to write to but two volumes, no capability, no token of the API."""
    for name, one in objects(SHOP, "Deployment").items():
        spec, own_context = one["spec"]["template"]["spec"], container(SHOP, name)["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        assert own_context == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert {mount["mountPath"] for mount in container(SHOP, name)["volumeMounts"]} == {"/data", "/tmp"}


@pytest.mark.parametrize(
    ("limits", "resources"),
    [
        (
            {"cpu_limit_cores": 0.3, "memory_limit_bytes": 64 << 20},
            {"limits": {"cpu": "300m", "memory": "67108864"}, "requests": {"cpu": "30m", "memory": "33554432"}},
        ),
        ({}, {"limits": {"cpu": "500m"}, "requests": {"cpu": "50m", "memory": "67108864"}}),
        ({"cpu_limit_cores": None}, {"limits": {}, "requests": {"memory": "67108864"}}),
    ],
)
def test_limits_are_those_of_the_file_and_requests_a_part_of_them(limits, resources):
    """So that they fit on a small cluster; without a limit none is set."""
    assert container(own(ServiceConfig(name="a", command=("x",), image="i:1", **limits)), "a")["resources"] == resources


def test_ready_is_what_the_file_says():
    """Its path where it has one, an open port otherwise; looked at each second while it starts."""
    app = own(ServiceConfig(name="a", command=("x",), image="i:1", ready_path="/up"), ServiceConfig(name="b", command=("x",), image="i:1"))

    asked, open_port = container(app, "a"), container(app, "b")
    assert asked["startupProbe"]["httpGet"] == asked["readinessProbe"]["httpGet"] == {"path": "/up", "port": "http"}
    assert asked["startupProbe"]["periodSeconds"] == 1
    assert open_port["readinessProbe"]["tcpSocket"] == {"port": "http"}


def test_pods_that_keep_data_never_overlap():
    """The old one ends before the new one starts; those without data are replaced without a pause."""
    found = {name: one["spec"]["strategy"]["type"] for name, one in objects(SHOP, "Deployment").items()}

    assert {name for name, kind in found.items() if kind == "RollingUpdate"} == {"catalogue", "payment", "queue-master"}
    assert objects(SHOP, "Deployment")["payment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_prometheus_finds_the_metrics():
    """By annotations of the pods; who shows none has none."""
    app = own(
        ServiceConfig(name="a", command=("x",), image="i:1", metrics_path="/m"),
        ServiceConfig(name="b", command=("x",), image="i:1", metrics_path=None),
    )
    told = {name: one["spec"]["template"]["metadata"]["annotations"] for name, one in objects(app, "Deployment").items()}

    assert told["a"] == {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/m"}
    assert told["b"] == {}
    assert pages_of(rendered(app, HERE)) == {"a": "8080/m", "b": None}


def test_users_come_in_by_the_entry():
    """At its Service."""
    assert entrance(SHOP, rendered(SHOP, HERE), "shop").address == "http://front-end.shop:80"


def test_the_shop_runs_from_the_image_of_this_version():
    """Unless the document names another, by tag, digest or both."""
    digest = "sha256:" + "0" * 64

    assert container(SHOP, "user")["image"] == f"tidegauge.local/shop:{tidegauge.__version__}"
    assert container(SHOP, "user")["imagePullPolicy"] == "IfNotPresent"
    for image in ("r.test:5000/a/shop:2", f"r.test/shop@{digest}", f"shop:2@{digest}"):
        assert container(app_of(DemoShop(image=image)), "user")["image"] == image


@pytest.mark.parametrize("image", ["shop", "r.test:5000/shop", "Shop:1", "shop:", "shop@sha256:12", "shop:1 ", "a:1; rm", "shop:{tag}"])
def test_an_image_that_could_be_any_is_refused(image):
    """Without a tag or digest it is another one tomorrow."""
    with pytest.raises(ValueError, match="image"):
        DemoShop(image=image)


def test_what_cannot_be_on_kubernetes_is_told_all_at_once():
    """A name, an image, a placeholder: each with its service."""
    app = own(
        ServiceConfig(name="web", command=("x", "{prot}"), image="i:1"),
        ServiceConfig(name="2nd", command=("x",), image="i:1"),
        ServiceConfig(name="third", command=("x",)),
    )

    with pytest.raises(DocumentError) as caught:
        manifests_of(app, HERE)

    first, second, third = caught.value.message.splitlines()
    assert first.startswith("service web of own-app: unknown placeholder {prot}")
    assert second.startswith("service 2nd of own-app: on Kubernetes a name begins with a letter")
    assert third.startswith("service third of own-app: on Kubernetes an image is needed")


def test_rendering_is_the_same_each_time():
    """Applied twice, nothing changes."""
    assert json.dumps(rendered(SHOP, HERE)) == json.dumps(rendered(SHOP, HERE))
