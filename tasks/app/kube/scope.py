"""Kinds that are not Kubernetes' own may belong to the whole cluster: only the server knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tasks.app.kube.kinds import group_of, is_builtin
from tasks.base.errors import DocumentError
from tasks.kube.errors import NotFound
from tasks.kube.refs import ObjectRef


class Paths(Protocol):
    """What is asked of the Kubernetes adapter."""

    def path_of(self, ref: ObjectRef) -> str:
        """The REST path of an object."""
        ...


def require_namespaced(kube: Paths, manifests: Sequence[Mapping[str, Any]]) -> None:
    """
    Let *manifests* pass whose kinds lie in a namespace; to be asked before anything is made.

    Raises:
        DocumentError: A kind belongs to the whole cluster, or is not known there; all are listed.
        KubeError: The server does not answer.
    """
    own = [ObjectRef.of(one) for one in manifests if not is_builtin(group_of(str(one["apiVersion"])))]
    wrong = [f"  {ref}: {problem}" for ref in own if (problem := _problem(kube, ref)) is not None]
    if wrong:
        raise DocumentError("\n".join(["these cannot be deployed:", *wrong]), next_step="leave them out, or have their kinds defined")


def _problem(kube: Paths, ref: ObjectRef) -> str | None:
    try:
        path = kube.path_of(ref)
    except NotFound as error:
        return error.message
    return None if f"/namespaces/{ref.namespace}/" in path else f"a {ref.kind} belongs to the whole cluster, and is never made here"
