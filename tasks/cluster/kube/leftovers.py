"""Why something is still there after it was removed, in words: read from the object itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.cluster.kube.manifests import labels_of, leaving
from tasks.cluster.provider import Leftover
from tasks.kube.labels import PART
from tasks.kube.refs import ObjectRef

BY_THE_SERVER = frozenset({"foregroundDeletion", "orphan", "kubernetes"})
"""Finalizers that the server takes away by itself."""


def leftover(found: Mapping[str, Any], why: str | None = None) -> Leftover:
    """*found* as something that is left, with *why*, or with what it says itself."""
    return Leftover(str(ObjectRef.of(found)), str(found["metadata"].get("uid", "?")), why or why_there(found))


def why_there(found: Mapping[str, Any]) -> str:
    """Why an object is there though it was removed."""
    if not leaving(found):
        return "was removed, and is there again: somebody makes it anew"
    pod = found.get("kind") == "Pod"
    helper = " (a helper on the node)" if pod and labels_of(found).get(PART) == "fault" else ""
    node = (found.get("spec") or {}).get("nodeName")
    if pod and node and not _finalizers(found):
        return f"its node {node} has not said that it ended{helper}; see whether the node is there"
    return f"is being removed{what_keeps(found)}{helper}"


def what_keeps(found: Mapping[str, Any]) -> str:
    """``, but waits for ...``: finalizers, and what a namespace says of what is in it; empty when nothing is known."""
    told = [
        str(condition["message"])
        for condition in (found.get("status") or {}).get("conditions") or ()
        if condition.get("status") == "True" and str(condition.get("type", "")).startswith("Namespace") and condition.get("message")
    ]
    finalizers = _finalizers(found)
    reasons = [*([f"its finalizer {', '.join(finalizers)}"] if finalizers else []), *told]
    return f", but waits for {'; '.join(reasons)}" if reasons else ""


def _finalizers(found: Mapping[str, Any]) -> list[str]:
    """Those that somebody else has to take away."""
    given = [*((found.get("metadata") or {}).get("finalizers") or ()), *((found.get("spec") or {}).get("finalizers") or ())]
    return [str(name) for name in given if name not in BY_THE_SERVER]
