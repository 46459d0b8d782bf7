"""What the app of a recording ran on in a cluster, out of the recording's own record: nodes, images, and pods with what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node that pods of the run were on; None: the API did not say."""

    name: str
    kubelet: str | None
    kernel: str | None
    system: str | None
    architecture: str | None
    runtime: str | None
    allocatable: tuple[tuple[str, str], ...]
    """Amounts as Kubernetes writes them, by resource."""

    @classmethod
    def of(cls, told: Record) -> Self:
        """One entry of the record's nodes."""
        words = {name: told.get(name) for name in ("kubelet", "kernel", "system", "architecture", "runtime")}
        amounts = {str(name): str(amount) for name, amount in (told.get("allocatable") or {}).items()}
        return cls(
            name=str(told.get("name", "")),
            allocatable=tuple(sorted(amounts.items())),
            **{name: None if word is None else str(word) for name, word in words.items()},
        )


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image that ran: the name that was asked for, the *digest* that the runtime found (None: it did not say), and where."""

    image: str
    digest: str | None
    containers: tuple[str, ...]

    @classmethod
    def of(cls, told: Record) -> Self:
        """One entry of the record's images."""
        digest = told.get("digest")
        return cls(str(told.get("image", "")), None if digest is None else str(digest), tuple(map(str, told.get("containers") or ())))


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container of a pod, as it was last seen."""

    name: str
    image: str
    """With its digest, where the runtime told it."""
    restarts: int
    ended: str | None
    """Why it last ended; None: it never did."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of the app, as it was last seen."""

    name: str
    service: str
    replica: int | None
    """The place of its service that it took; None: it never had one."""
    node: str
    containers: tuple[ContainerFacts, ...]
    gone: bool
    """Whether it was gone before the recording ended."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster, as one recording met it."""

    version: str
    namespace: str
    nodes: tuple[NodeFacts, ...] | None
    """None: the login could not look at nodes; *notes* say so."""
    images: tuple[ImageFacts, ...]
    pods: tuple[PodFacts, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, told: Record, happened: Iterable[Record]) -> Self | None:
        """
        What a recording wrote down; None where its app ran on no cluster.

        Args:
            told: What ran there, as ``recording.json`` has it under ``processes``.
            happened: The lines of its ``kubernetes.jsonl``.
        """
        if not isinstance(told.get("images"), list) or "namespace" not in told:
            return None
        nodes = told.get("nodes")
        return cls(
            version=str(told.get("version", "")),
            namespace=str(told["namespace"]),
            nodes=None if nodes is None else tuple(map(NodeFacts.of, nodes)),
            images=tuple(map(ImageFacts.of, told["images"])),
            pods=pods_of(happened),
            notes=tuple(map(str, told.get("notes") or ())),
        )


def pods_of(happened: Iterable[Record]) -> tuple[PodFacts, ...]:
    """The pods that the lines of ``kubernetes.jsonl`` tell of, by service, replica and the time they came."""
    last, replicas = dict[str, Record](), dict[str, int]()
    for one in happened:
        if one["kind"] == "replica":
            replicas[one["uid"]] = int(one["replica"])
        elif one["kind"] == "pod":
            last[one["uid"]] = one
    found = [_pod(one, replicas.get(uid)) for uid, one in last.items()]
    return tuple(sorted(found, key=lambda pod: (pod.service, pod.replica is None, pod.replica or 0)))


def _pod(told: Record, replica: int | None) -> PodFacts:
    containers = tuple(
        ContainerFacts(str(one["name"]), str(one["image"]).rpartition("://")[2], int(one["restarts"]), one["ended"])
        for one in told["containers"]
    )
    return PodFacts(str(told["pod"]), str(told["service"]), replica, str(told["node"]), containers, told["phase"] == "Gone")
