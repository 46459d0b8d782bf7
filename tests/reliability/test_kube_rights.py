"""The rights that are asked for are those that are needed: row 42."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import granted, missing, role_text, roles
from tests.kube.fake_api import FakeApi

FAULT = "a role that is too wide or too narrow"
CARTS = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "carts", "namespace": "shop"}, "spec": {"replicas": 1}}
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": "shop"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}}


def everything(kube: Kube, api: FakeApi) -> None:
    """Each operation of the adapter."""
    kube.apply(CARTS)
    kube.apply(CARTS)
    kube.patch(ObjectRef.of(CARTS), {"spec": {"replicas": 2}}, subresource="scale")
    kube.create(SETTINGS)
    kube.find(ObjectRef.of(SETTINGS))
    kube.delete(ObjectRef.of(SETTINGS))
    kube.delete(ObjectRef.of(CARTS))
    kube.execute("shop", "p", "c", ["true"], timeout_s=5)
    list(kube.log("shop", "p", "c"))
    kube.text("/api/v1/nodes/node1/proxy/metrics/cadvisor")
    kube.text("/api/v1/namespaces/shop/services/prometheus:9090/proxy/api/v1/query")
    list(kube.items("/api/v1/namespaces/shop/events"))
    over = threading.Event()
    for event in kube.watch("/api/v1/namespaces/shop/pods", stop=over.is_set):
        if event.type == "ADDED":
            api.put({**POD, "status": {"phase": str(api.objects.version)}})
        else:
            over.set()


def prepared(api: FakeApi) -> None:
    """What :func:`everything` works on."""
    api.put(POD)
    api.texts["/api/v1/nodes/node1/proxy/metrics/cadvisor"] = "container_x 1"
    api.texts["/api/v1/namespaces/shop/services/prometheus:9090/proxy/api/v1/query"] = "{}"


def test_what_is_used_is_what_is_granted(ledger: Any, tmp_path: Path) -> None:
    """The Role that is made from the rights that were used lets everything through; each right less is missed, and named by `missing`."""
    with FakeApi() as api:
        prepared(api)
        access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))
        first = Kube.connect(access)
        everything(first, api)
        documents = roles("runner", first.used)
        assert "*" not in role_text(documents)
        assert not any(granted(Permission(verb, "", "secrets", namespace="shop"), documents) for verb in ("get", "list", "watch"))
        api.granted = documents
        everything(Kube.connect(access), api)
        for lacking in sorted(first.used, key=str):
            one = ledger.begin(row=42, fault=FAULT, where="fake")
            api.granted = roles("runner", first.used - {lacking})
            assert missing(Kube.connect(access), first.used) == (lacking,)
            with pytest.raises(Forbidden, match="cannot"):
                everything(Kube.connect(access), api)
            api.granted = None
            for item in (CARTS, SETTINGS):
                first.delete(ObjectRef.of(item))
            one.survived(f"rights used {len(first.used)} of {len(first.used)} granted, wildcards 0, secrets readable 0")
