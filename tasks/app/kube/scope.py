"""
An app's objects for one cluster: made for its version, and none of them belongs to the whole of it.

Kinds that are not Kubernetes' own may do that: only the server knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tasks.app.kube.kinds import group_of, is_builtin
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Manifest, Placement
from tasks.app.model import App
from tasks.base.errors import DocumentError
from tasks.kube.errors import NotFound
from tasks.kube.refs import ObjectRef


class Paths(Protocol):
    """Where objects lie, by the server's word."""

    def path_of(self, ref: ObjectRef) -> str:
        """The REST path of an object."""
        ...


class Server(Paths, Protocol):
    """What is asked of the Kubernetes adapter."""

    def version(self) -> str:
        """The server's ``v1.36.3``."""
        ...


def manifests_there(kube: Server, app: App, where: Placement) -> tuple[Manifest, ...]:
    """
    The objects of *app* in the order in which they are applied to that cluster.

    Raises:
        DocumentError: They are not valid, or belong to the whole cluster; all mistakes are listed with their places.
        PreflightError: Files have changed since the document was read, or Helm is not installed.
        KubeError: The server does not answer.
    """
    found = manifests_of(app, where, kube_version=kube.version())
    require_namespaced(kube, found)
    return found


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
