"""The part of the Kubernetes adapter that faults use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from tasks.kube.execution import Executed
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef


class ClusterApi(Protocol):
    """What :class:`tasks.kube.client.Kube` can do, and its fakes; each call raises KubeError or CredentialsError."""

    @property
    def server(self) -> str:
        """The API server's address."""
        ...

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at *path*."""
        ...

    def items(self, path: str, *, labels: str = "", fields: str = "", page: int = 500) -> Iterator[dict[str, Any]]:
        """The objects of a collection."""
        ...

    def find(self, ref: ObjectRef) -> dict[str, Any] | None:
        """The object, or None."""
        ...

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Make a new object."""
        ...

    def patch(
        self,
        ref: ObjectRef,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        how: Literal["merge", "strategic", "json"] = "merge",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Change a part of an object."""
        ...

    def delete(self, ref: ObjectRef, *, grace_s: float | None = None, propagation: str = "Background", dry_run: bool = False) -> bool:
        """Remove an object; False: it was not there."""
        ...

    def execute(self, namespace: str, pod: str, container: str, argv: Sequence[str], *, timeout_s: float) -> Executed:
        """Run a program in a container."""
        ...

    def log(
        self, namespace: str, pod: str, container: str, *, since_s: float | None = None, follow: bool = False, timestamps: bool = False
    ) -> Iterator[bytes]:
        """The lines of a container's log."""
        ...

    def allowed(self, permission: Permission) -> bool:
        """Whether this login has that right."""
        ...

    def path_of(self, ref: ObjectRef) -> str:
        """The REST path."""
        ...
