"""Pods as the API shows them, reduced to what telemetry needs: whose they are, how they are, and where their metrics page is."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.kube.quantity import number

_PORT = re.compile(r"[1-9]\d{0,4}")
"""By number: the API server's proxy to a pod knows no names of ports."""
SCRAPE, PORT, PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
METRICS = "/metrics"
SERVICE, PART = "tidegauge.dev/service", "tidegauge.dev/part"
"""Labels of what is ours in the cluster: its service's name, and its part, of which only ``app`` is what is observed."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of the app in a pod."""

    name: str
    ready: bool = False
    running: bool = False
    restarts: int = 0
    waiting: str | None = None
    """Why it does not run: ``CrashLoopBackOff``, ``ErrImagePull``."""
    ended: str | None = None
    """Why it last ended: ``OOMKilled``, ``Error``, ``Completed``."""
    image: str = ""
    """As it really runs, with its digest where the runtime tells it."""
    cpu_limit: float | None = None
    """Cores."""
    memory_limit: float | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod."""

    uid: str
    name: str
    workload: str
    """Deployment, StatefulSet, DaemonSet or Job that it belongs to; its own name where there is none."""
    kind: str
    """Kind of the workload; ``Pod`` where there is none."""
    created_s: float
    node: str = ""
    phase: str = "Pending"
    ready: bool = False
    ready_s: float | None = None
    """Since when it has been so, or not."""
    leaving: bool = False
    """It was asked to go, or has ended."""
    containers: tuple[ContainerView, ...] = ()
    page: str | None = None
    """``PORT/PATH`` of its metrics page; None: it names none."""

    @property
    def running(self) -> bool:
        """Whether something runs in it."""
        return self.phase == "Running" and any(one.running for one in self.containers)


def pod_view(pod: Mapping[str, Any]) -> PodView:
    """
    *pod* as the API shows it.

    Raises:
        ValueError: It is none.
    """
    try:
        metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
        kind, workload = owner_of(metadata)
        phase = str(status.get("phase", "Unknown"))
        ready: Mapping[str, Any] = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
        return PodView(
            uid=str(metadata["uid"]),
            name=str(metadata["name"]),
            workload=workload,
            kind=kind,
            created_s=seconds(metadata.get("creationTimestamp")) or 0.0,
            node=str(spec.get("nodeName") or ""),
            phase=phase,
            ready=ready.get("status") == "True",
            ready_s=seconds(ready.get("lastTransitionTime")),
            leaving=bool(metadata.get("deletionTimestamp")) or phase in ("Succeeded", "Failed"),
            containers=tuple(_containers(spec, status)),
            page=_page(metadata.get("annotations") or {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a pod: {error!r}") from error


def owner_of(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """
    Kind and name of the workload that a pod with *metadata* belongs to.

    Our own label says which service it is; otherwise its owner does, a Deployment by way of its ReplicaSet; a pod without an owner is
    what its label ``app`` says, or itself.
    """
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    labels = metadata.get("labels") or {}
    named = labels.get(SERVICE)
    if owner is None or owner.get("kind") == "Node":
        return "Pod", str(named or labels.get("app") or metadata["name"])
    kind, name = str(owner.get("kind", "")), str(owner["name"])
    template = labels.get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    return kind, str(named or name)


def observed(metadata: Mapping[str, Any]) -> bool:
    """Whether a pod is part of the app: not of our own load, telemetry or faults."""
    return str((metadata.get("labels") or {}).get(PART, "app")) == "app"


def seconds(text: object) -> float | None:
    """Seconds since 1970 of a time as Kubernetes writes it; None where there is none."""
    try:
        moment = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()


def _containers(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[ContainerView]:
    """
    The pod's own containers: sidecars that start first (of ``restartPolicy: Always``) are among them.

    Ephemeral ones are not: they are somebody's tools, our faults' among them.
    """
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    told = {one.get("name"): one for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))}
    for one in (*sidecars, *(spec.get("containers") or ())):
        yield _container(one, told.get(one.get("name"), {}))


def _container(spec: Mapping[str, Any], status: Mapping[str, Any]) -> ContainerView:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    limits = ((status.get("resources") or spec.get("resources") or {}).get("limits")) or {}
    return ContainerView(
        name=str(spec["name"]),
        ready=bool(status.get("ready")),
        running="running" in state,
        restarts=int(status.get("restartCount") or 0),
        waiting=(state.get("waiting") or {}).get("reason"),
        ended=ended.get("reason"),
        image=str(status.get("imageID") or status.get("image") or spec.get("image") or ""),
        cpu_limit=number(limits.get("cpu")),
        memory_limit=number(limits.get("memory")),
    )


def _page(annotations: Mapping[str, Any]) -> str | None:
    """Where its annotations say that its page is."""
    if annotations.get(SCRAPE) != "true" or PORT not in annotations:
        return None
    return page_of(f"{annotations[PORT]}/{str(annotations.get(PATH) or METRICS).removeprefix('/')}")


def page_of(text: str) -> str | None:
    """*text*, ``PORT`` or ``PORT/PATH``, with a path; None where it is not that: it comes from whoever wrote the app."""
    port, _, path = text.partition("/")
    if not _PORT.fullmatch(port) or not all(32 < ord(letter) < 127 for letter in path):
        return None
    return f"{port}/{path or METRICS.removeprefix('/')}"
