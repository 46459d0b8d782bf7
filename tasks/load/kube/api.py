"""What a load in pods asks of the Kubernetes API: the part of :class:`tasks.kube.client.Kube` that it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tasks.kube.refs import ObjectRef

if TYPE_CHECKING:
    from tasks.kube.watching import WatchEvent


class Api(Protocol):
    """The API server, for any number of threads."""

    def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make it so."""

    def patch(self, ref: ObjectRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge *body* into an object."""

    def delete(self, ref: ObjectRef, *, grace_s: float | None = None) -> bool:
        """Remove an object and, after it, what it owns; False: it was not there."""

    def items(self, path: str, *, labels: str = "", fields: str = "") -> Iterator[dict[str, Any]]:
        """The objects of a collection."""

    def watch(self, path: str, *, labels: str = "", stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """Every object of a collection as ADDED, then each change, until *stop* says so."""

    def log(self, namespace: str, pod: str, container: str, *, since_s: float | None = None, follow: bool = False) -> Iterator[bytes]:
        """The lines of a container's log."""

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What stands at *path*."""


@dataclass(frozen=True, slots=True)
class PodPlace:
    """Where in a cluster a load runs, and for how long at most."""

    api: Api
    namespace: str
    run: str
    """Id of the run; the label by which everything is found again."""
    at_most_s: float
    """After this many seconds the cluster itself ends the load, whatever became of us."""
    port: int = 5557
    """On which the master listens for its workers."""

    @property
    def pods(self) -> str:
        """Path of the namespace's pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def ref(self, kind: str, name: str) -> ObjectRef:
        """An object of ours in the namespace."""
        return ObjectRef("batch/v1" if kind == "Job" else "v1", kind, self.namespace, name)
