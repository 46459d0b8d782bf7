"""Which right a request needs."""

from __future__ import annotations

import pytest

from tasks.kube.permission import Permission, needed


@pytest.mark.parametrize(
    ("method", "path", "watch", "said"),
    [
        ("GET", "/api/v1/namespaces/shop/pods", False, "list pods in shop"),
        ("GET", "/api/v1/namespaces/shop/pods", True, "watch pods in shop"),
        ("GET", "/api/v1/pods", False, "list pods in all namespaces"),
        ("GET", "/api/v1/namespaces/shop/pods/p/log", False, "get pods/log p in shop"),
        ("POST", "/api/v1/namespaces/shop/pods/p/exec", False, "create pods/exec p in shop"),
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/carts", False, "patch deployments.apps carts in shop"),
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/carts/scale", False, "patch deployments.apps/scale carts in shop"),
        ("DELETE", "/apis/apps/v1/namespaces/shop/deployments", False, "deletecollection deployments.apps in shop"),
        ("DELETE", "/api/v1/namespaces/shop", False, "delete namespaces shop in shop"),
        ("GET", "/api/v1/namespaces", False, "list namespaces in all namespaces"),
        ("PUT", "/api/v1/namespaces/shop/finalize", False, "update namespaces/finalize shop in shop"),
        ("GET", "/api/v1/nodes/node1/proxy/metrics/cadvisor", False, "get nodes/proxy node1 in all namespaces"),
        ("GET", "/api/v1/namespaces/m/services/prometheus:9090/proxy/api/v1/read", False, "get services/proxy prometheus:9090 in m"),
        ("GET", "/api/v1/namespaces/m/services/https%3Aprometheus%3A/proxy/", False, "get services/proxy https:prometheus: in m"),
    ],
)
def test_a_request_needs_the_right_that_the_server_will_look_for(method, path, watch, said):
    """Verb, resource, subresource, namespace and name stand in the path."""
    assert str(needed(method, path, watch=watch)) == said


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/api/v1", "/apis/apps/v1", "/readyz"])
def test_what_everybody_may_needs_no_right(path):
    """Discovery, health, the version."""
    assert needed("GET", path) is None


def test_a_permission_is_a_value():
    """Equal ones are one."""
    assert len({Permission("get", "", "pods"), Permission("get", "", "pods")}) == 1
