"""Waiting until the pods of an app, or of anything else of a run, are ready; and not a second longer than there is hope."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.app.kube.condition import Condition, Trouble, condition_of
from tasks.app.kube.kinds import WORKLOADS, inner
from tasks.app.kube.placement import SERVICE_LABEL, Placement
from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError
from tasks.base.progress import Progress, Report, silent
from tasks.kube.errors import KubeError
from tasks.kube.labels import run_selector

POLL_S = 0.2
SHARE = 4
"""Between two looks is at least so many times what a look takes, up to MOST_S: waiting must not load the API server."""
MOST_S = 5.0
EVENTS_AFTER_S = 3.0
"""Events are looked for only when it takes longer than a healthy start."""
LOG_LINES = 10
PLURALS: Mapping[str, str] = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


class Cluster(Protocol):
    """What is asked of the Kubernetes adapter."""

    def items(self, path: str, *, labels: str = "", fields: str = "") -> Iterator[dict[str, Any]]:
        """The objects of a collection."""
        ...

    def log(self, namespace: str, pod: str, container: str) -> Iterator[bytes]:
        """The lines of a container's log."""
        ...


@dataclass(slots=True)
class Rollout:
    """The wait for *workloads*, which were applied at *where*."""

    kube: Cluster
    where: Placement
    workloads: Sequence[Mapping[str, Any]]
    """Manifests; kinds that keep no pods running are not waited for."""
    timeout_s: float
    report: Report = silent
    clock: Clock = field(default_factory=SystemClock)
    since_s: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each trouble, by place and kind, was first seen."""
    told: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    """The wordiest form of each trouble so far: a back-off says less than the failure before it."""

    def wait(self) -> float:
        """
        Return when every workload is ready; the seconds that it took.

        Raises:
            PreflightError: One will not be, or is not within *timeout_s*: with the pod's own reason, and what to do.
            KubeError: The API server refuses to show them.
        """
        begun_s = self.clock.monotonic_s()
        while True:
            look_s = self.clock.monotonic_s()
            found = self.look(look_s - begun_s)
            now_s = self.clock.monotonic_s()
            waiting = [one for one in found if not one.ready]
            self._report(found, waiting)
            if not waiting:
                return now_s - begun_s
            self._judge(waiting, now_s)
            if now_s - begun_s >= self.timeout_s:
                raise self._late(waiting, now_s - begun_s)
            self.clock.sleep(max(POLL_S, min(MOST_S, SHARE * (now_s - look_s))))

    def look(self, waited_s: float) -> list[Condition]:
        """Every workload as it is now."""
        names = {(str(one["kind"]), str(inner(one, ("metadata", "name")))) for one in self.workloads if one.get("kind") in WORKLOADS}
        there = {(kind, str(inner(one, ("metadata", "name")))): one for kind, one in self._listed({kind for kind, _ in names})}
        pods: dict[str, list[dict[str, Any]]] = {}
        for pod in self._items("/api/v1", "pods"):
            labels = inner(pod, ("metadata", "labels")) or {}
            pods.setdefault(str(labels.get(SERVICE_LABEL, labels.get("app"))), []).append(pod)
        events = self._warnings() if waited_s >= EVENTS_AFTER_S else []
        return [
            condition_of(there[key], pods.get(key[1], ()), events) if key in there else Condition(key[1], False, "not there")
            for key in sorted(names)
        ]

    def _listed(self, kinds: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for kind in sorted(kinds):
            yield from ((kind, {"kind": kind, **one}) for one in self._items("/apis/apps/v1", PLURALS[kind]))

    def _items(self, api: str, plural: str) -> Iterator[dict[str, Any]]:
        return self.kube.items(f"{api}/namespaces/{self.where.namespace}/{plural}", labels=run_selector(self.where.run))

    def _warnings(self) -> list[dict[str, Any]]:
        """Warnings, and what the autoscaler says; none where this login may not see them: they only explain."""
        path = f"/api/v1/namespaces/{self.where.namespace}/events"
        try:
            return [one for one in self.kube.items(path) if one.get("type") == "Warning" or one.get("reason") == "TriggeredScaleUp"]
        except KubeError:
            return []

    def _judge(self, waiting: Sequence[Condition], now_s: float) -> None:
        """Give up where a trouble has lasted longer than it may; forget those that are over."""
        present = {(trouble.about, trouble.kind): (one, trouble) for one in waiting for trouble in one.troubles}
        for key in set(self.since_s) - set(present):
            del self.since_s[key]
            del self.told[key]
        for key, (condition, trouble) in present.items():
            begun_s = self.since_s.setdefault(key, now_s)
            if len(trouble.message) >= len(self.told.get(key, trouble).message):
                self.told[key] = trouble
            if now_s - begun_s >= self.told[key].patience_s:
                raise self._hopeless(condition, self.told[key])

    def _hopeless(self, condition: Condition, trouble: Trouble) -> PreflightError:
        lines = [] if trouble.log_of is None else self._last_lines(*trouble.log_of)
        said = "".join(f"\n    {line}" for line in lines)
        where = (
            f"{condition.name} in {self.where.namespace} does not get ready: {trouble.about}: {trouble.reason}: {trouble.message.strip()}"
        )
        error = PreflightError(f"{where}{said and f'; its last lines:{said}'}", next_step=trouble.next_step)
        error.details = {"workload": condition.name, "about": trouble.about, "reason": trouble.reason, "log": lines}
        return error

    def _last_lines(self, pod: str, container: str) -> list[str]:
        try:
            kept = deque(self.kube.log(self.where.namespace, pod, container), maxlen=LOG_LINES)
        except KubeError:
            return []
        return [line.decode(errors="replace")[:500] for line in kept]

    def _late(self, waiting: Sequence[Condition], waited_s: float) -> PreflightError:
        parts = [f"{one.name} ({'; '.join([one.text, *(f'{t.reason}: {t.message.strip()}' for t in one.troubles)])})" for one in waiting]
        error = PreflightError(
            f"after {waited_s:.0f} s not ready in {self.where.namespace}: {', '.join(parts)}",
            next_step=f"see `kubectl --namespace {self.where.namespace} describe pods`, or allow more time",
        )
        error.details = {"workloads": [one.name for one in waiting]}
        return error

    def _report(self, found: Sequence[Condition], waiting: Sequence[Condition]) -> None:
        ready = len(found) - len(waiting)
        text = ", ".join(f"{one.name}: {one.troubles[0].reason if one.troubles else one.text}" for one in waiting[:3]) or "all are ready"
        self.report(Progress("deploy", text, float(ready), float(len(found)), "workloads"))
