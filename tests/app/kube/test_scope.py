"""Kinds of somebody's own that would reach beyond the namespace."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.app.kube.scope import require_namespaced
from tasks.base.errors import DocumentError
from tasks.kube.errors import NotFound
from tasks.kube.refs import ObjectRef


class Server:
    """It knows a Widget in each namespace and one World."""

    def path_of(self, ref: ObjectRef) -> str:
        """By its kind."""
        if ref.kind == "Widget":
            return f"/apis/a.test/v1/namespaces/{ref.namespace}/widgets/{ref.name}"
        if ref.kind == "World":
            return f"/apis/a.test/v1/worlds/{ref.name}"
        raise NotFound(f"the cluster knows no {ref.kind} in {ref.api_version}", status=404)


def manifest(name: str, kind: str, version: str = "a.test/v1") -> dict[str, Any]:
    """An object in ``shop``."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}}


def test_what_lies_in_the_namespace_passes():
    """Kubernetes' own kinds were looked at before, and are not asked about."""
    require_namespaced(Server(), [manifest("a", "Widget"), manifest("b", "Deployment", "apps/v1"), manifest("c", "Unknown", "v1")])


def test_what_belongs_to_the_whole_cluster_is_refused():
    """With all others that cannot be made."""
    with pytest.raises(DocumentError) as caught:
        require_namespaced(Server(), [manifest("w", "World"), manifest("a", "Widget"), manifest("x", "Unknown")])

    assert caught.value.message.splitlines()[1:] == [
        "  world/w in shop: a World belongs to the whole cluster, and is never made here",
        "  unknown/x in shop: the cluster knows no Unknown in a.test/v1",
    ]
