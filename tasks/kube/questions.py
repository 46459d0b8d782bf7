"""Requests as values: what each operation asks the API server, decided without asking it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from tasks.kube.permission import Permission
from tasks.kube.transport import REQUEST_S, Request

MANAGER = "tidegauge"
"""Our name among those who manage an object's fields."""
How = Literal["merge", "strategic", "json"]
"""How a patch is laid over an object: keys replaced, lists merged by their keys as well, or a list of operations."""
FOLLOWED_S = 300.0
"""A followed log that is silent for so long is dropped."""
_PATCHES: Mapping[How, str] = {"merge": "merge-patch", "strategic": "strategic-merge-patch", "json": "json-patch"}


def apply_request(path: str, manifest: Mapping[str, Any], *, dry_run: bool) -> Request:
    """Server-side apply at an object's *path*; what others manage is taken over."""
    query = {"fieldManager": MANAGER, "force": "true", **_dry(dry_run)}
    return Request("PATCH", path, query, as_json(manifest), "application/apply-patch+yaml")


def create_request(collection: str, manifest: Mapping[str, Any], *, dry_run: bool) -> Request:
    """A new object in the *collection* at that path."""
    return Request("POST", collection, {"fieldManager": MANAGER, **_dry(dry_run)}, as_json(manifest), repeatable=False)


def patch_request(path: str, body: Any, how: How, *, dry_run: bool) -> Request:
    """A change at *path*; a list of operations is not done twice."""
    query = {"fieldManager": MANAGER, **_dry(dry_run)}
    return Request("PATCH", path, query, as_json(body), f"application/{_PATCHES[how]}+json", repeatable=how != "json")


def delete_request(path: str, grace_s: float | None, propagation: str, *, dry_run: bool) -> Request:
    """The end of the object at *path*."""
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if grace_s is not None:
        options["gracePeriodSeconds"] = round(grace_s)
    if dry_run:
        options["dryRun"] = ["All"]  # where there is a body, the server does not look at the query
    return Request("DELETE", path, _dry(dry_run), as_json(options))


def log_request(namespace: str, pod: str, container: str, since_s: float | None, *, follow: bool, timestamps: bool) -> Request:
    """A container's log."""
    query = {"container": container, "follow": str(follow).lower(), "timestamps": str(timestamps).lower()}
    if since_s is not None:
        query["sinceSeconds"] = str(max(1, round(since_s)))
    return Request("GET", f"{_pod(namespace, pod)}/log", query, timeout_s=FOLLOWED_S if follow else REQUEST_S)


def exec_request(namespace: str, pod: str, container: str, argv: Sequence[str]) -> Request:
    """A program's start in a container."""
    query = {"container": container, "command": tuple(argv), "stdout": "true", "stderr": "true"}
    return Request("GET", f"{_pod(namespace, pod)}/exec", query, repeatable=False)


def review_request(permission: Permission) -> Request:
    """Whether whoever asks has that right."""
    attributes = {
        "verb": permission.verb,
        "group": permission.group,
        "resource": permission.resource,
        "subresource": permission.subresource,
        "namespace": permission.namespace or "",
        "name": permission.name,
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
    return Request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, as_json(review))


def as_json(value: Any) -> bytes:
    """The bytes of a JSON value; NaN is none."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _pod(namespace: str, pod: str) -> str:
    """A pod's path; a name cannot lead elsewhere."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
