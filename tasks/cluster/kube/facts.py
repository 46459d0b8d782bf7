"""What a run really ran on: versions, nodes, and the image digests of its pods, for the manifest of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.labels import PART, run_selector

AMOUNTS = ("cpu", "memory", "ephemeral-storage", "pods")


def facts(kube: Kube, namespace: str, run: str) -> dict[str, Any]:
    """
    Facts of the cluster and of the pods of *run* in *namespace*, as a JSON object; what the login may not see is None, and said so.

    Raises:
        KubeError: The API server does not answer, or the pods may not be listed.
    """
    pods = tuple(kube.items(f"/api/v1/namespaces/{namespace}/pods", labels=run_selector(run)))
    used = sorted({str(pod["spec"]["nodeName"]) for pod in pods if (pod.get("spec") or {}).get("nodeName")})
    nodes, notes = None, []
    try:
        nodes = [node_facts(node) for node in kube.items("/api/v1/nodes") if node["metadata"]["name"] in used or not used]
    except Forbidden:
        notes.append("this login may not look at nodes: their kernels, runtimes and resources are not known (configs/rbac/nodes.yaml)")
    return {"version": kube.version(), "namespace": namespace, "nodes_used": used, "nodes": nodes, "images": images(pods), "notes": notes}


def node_facts(node: Mapping[str, Any]) -> dict[str, Any]:
    """Kernel, runtime, versions and resources of a node."""
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    named = {
        "kernel": "kernelVersion",
        "system": "osImage",
        "architecture": "architecture",
        "runtime": "containerRuntimeVersion",
        "kubelet": "kubeletVersion",
    }
    told = {ours: info.get(theirs) for ours, theirs in named.items()}
    return {"name": node["metadata"]["name"], **told, **{kind: _amounts(status.get(kind)) for kind in ("capacity", "allocatable")}}


def _amounts(value: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value[name]) for name in AMOUNTS if value and name in value}


def images(pods: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Each image that runs, by the name that was asked for and the digest that the runtime found, with the containers that run it.

    A digest is ``REPOSITORY@sha256:...`` where the image came from a registry, ``sha256:...`` (of its configuration) where it was loaded
    by hand, None where nothing has started yet.
    """
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for pod in pods:
        status, labels = pod.get("status") or {}, pod["metadata"].get("labels") or {}
        asked = {str(one["name"]): str(one.get("image", "")) for one in (pod.get("spec") or {}).get("containers") or ()}
        for one in status.get("containerStatuses") or ():
            name = str(one["name"])
            digest = str(one.get("imageID") or "").rpartition("://")[2] or None
            image = asked.get(name, str(one.get("image", "")))
            row: dict[str, Any] = {"image": image, "digest": digest, "part": labels.get(PART), "containers": []}
            containers = found.setdefault((image, digest), row)["containers"]
            containers.append(f"{labels.get('app') or pod['metadata']['name']}/{name}")
    rows = sorted(found.values(), key=lambda row: (row["image"], row["digest"] or ""))
    return [{**row, "containers": sorted(set(row["containers"]))} for row in rows]
