"""What is known of the app in the cluster now: pods and who sits where, workloads, and the record of how that came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock
from tasks.telemetry.kube.events import EventView, Happenings, event_view
from tasks.telemetry.kube.journal import Journal, read_journal
from tasks.telemetry.kube.pods import PodView, observed, pod_view
from tasks.telemetry.kube.seats import Change, Seating
from tasks.telemetry.kube.workloads import WorkloadView, workload_view


class World:
    """
    Keeps up with the cluster.

    Args:
        journal: Where changes are written.
        clock: Their times.
        since_s: Events from before are not told.
        changed: Called after each change of pods or workloads.
    """

    def __init__(self, journal: Journal, clock: Clock, since_s: float, changed: Callable[[], None]) -> None:
        self.pods: dict[str, PodView] = {}
        self.workloads: dict[tuple[str, str], WorkloadView] = {}
        self.seating = Seating()
        self.happenings = Happenings(since_s)
        self._members: dict[str, dict[str, PodView]] = {}
        """The pods of each workload, by uid."""
        self._unsettled: set[str] = set()
        """Workloads of which something changed since all sat down."""
        self._names: dict[str, str] = {}
        """The workload of every pod that was ever seen, by name: events tell of pods that are gone."""
        self._journal = journal
        self._clock = clock
        self._changed = changed

    def resume(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Go on where the journal ends: seats keep their pods, events are not told again."""
        for one in records:
            if one["kind"] == "replica":
                self.seating.took(one["service"], int(one["replica"]), one["uid"])
                self._unsettled.add(one["service"])
            elif one["kind"] == "event":
                self.happenings.told[one["uid"]] = one["count"]

    @property
    def wanted(self) -> dict[str, int]:
        """How many replicas each workload should have."""
        found: dict[str, int] = {}
        for one in self.workloads.values():
            found[one.name] = found.get(one.name, 0) + one.wanted
        return found

    def pods_listed(self, views: Sequence[PodView]) -> None:
        """These are all pods that there are."""
        there = {view.uid for view in views}
        for uid in [uid for uid in self.pods if uid not in there]:
            self._pod_gone(uid)
        for view in views:
            self._pod_is(view)
        self._changed()

    def pod_changed(self, change: str, view: PodView) -> None:
        """A pod came, changed, or went."""
        if change == "DELETED":
            self._pod_gone(view.uid)
        else:
            self._pod_is(view)
        self._changed()

    def workloads_listed(self, kind: str, views: Sequence[WorkloadView]) -> None:
        """These are all workloads of *kind* that there are."""
        there = {(kind, view.name) for view in views}
        for key in [key for key in self.workloads if key[0] == kind and key not in there]:
            self._workload_gone(key)
        for view in views:
            self._workload_is(view)
        self._changed()

    def workload_changed(self, change: str, view: WorkloadView) -> None:
        """A workload came, changed, or went."""
        if change == "DELETED":
            self._workload_gone((view.kind, view.name))
        else:
            self._workload_is(view)
        self._changed()

    def events_listed(self, events: Sequence[EventView]) -> None:
        """These are all events that the cluster remembers."""
        for event in events:
            self.event_changed("ADDED", event)

    def event_changed(self, change: str, event: EventView) -> None:
        """An event happened, happened again, or was forgotten."""
        if change == "DELETED":
            self.happenings.gone(event.uid)
        elif self.happenings.new(event):
            self._journal.write(event.time_s, "event", **event.facts(self._names))

    def settle(self) -> tuple[Change, ...]:
        """Let the pods sit down of whose workloads something changed; the seats that changed hands, which are written down."""
        wanted, changes = self.wanted, list[Change]()
        for workload in sorted(self._unsettled):
            changes += self.seating.update(workload, tuple(self._members.get(workload, {}).values()), wanted.get(workload))
        self._unsettled.clear()
        for one in changes:
            self._write("replica", **seat_facts(one))
        return tuple(changes)

    def _pod_is(self, view: PodView) -> None:
        if self.pods.get(view.uid) != view:
            self.pods[view.uid] = self._members.setdefault(view.workload, {})[view.uid] = view
            self._names[view.name] = view.workload
            self._unsettled.add(view.workload)
            self._write("pod", **pod_facts(view))

    def _pod_gone(self, uid: str) -> None:
        if (view := self.pods.pop(uid, None)) is not None:
            self._members[view.workload].pop(uid, None)
            self._unsettled.add(view.workload)
            self._write("pod", **{**pod_facts(view), "phase": "Gone", "ready": False})

    def _workload_is(self, view: WorkloadView) -> None:
        key = (view.kind, view.name)
        if self.workloads.get(key) != view:
            self.workloads[key] = view
            self._unsettled.add(view.name)
            self._write("workload", **workload_facts(view))

    def _workload_gone(self, key: tuple[str, str]) -> None:
        if (view := self.workloads.pop(key, None)) is not None:
            self._unsettled.add(view.name)
            self._write("workload", **workload_facts(view), gone=True)

    def _write(self, kind: str, **facts: Any) -> None:
        self._journal.write(self._clock.wall_s(), kind, **facts)


def seat_facts(change: Change) -> dict[str, Any]:
    """What is written down of a seat that changed hands."""
    pod = change.pod
    return {
        "service": change.workload,
        "replica": change.number,
        "pod": pod.name,
        "uid": pod.uid,
        "before": change.before,
        "node": pod.node,
        "created_s": pod.created_s,
    }


def pod_facts(view: PodView) -> dict[str, Any]:
    """What is written down of a pod."""
    return {
        "pod": view.name,
        "uid": view.uid,
        "service": view.workload,
        "node": view.node,
        "phase": view.phase,
        "ready": view.ready,
        "ready_s": view.ready_s,
        "leaving": view.leaving,
        "containers": [
            {
                "name": one.name,
                "running": one.running,
                "restarts": one.restarts,
                "waiting": one.waiting,
                "ended": one.ended,
                "image": one.image,
                "cpu_limit": one.cpu_limit,
                "memory_limit": one.memory_limit,
            }
            for one in view.containers
        ],
    }


def workload_facts(view: WorkloadView) -> dict[str, Any]:
    """What is written down of a workload: a rollout is one whose generation, images or updated replicas change."""
    names = ("wanted", "replicas", "ready", "available", "unavailable", "updated", "generation", "observed")
    return {
        "object": f"{view.kind.lower()}/{view.name}",
        "service": view.name,
        **{name: getattr(view, name) for name in names},
        "images": list(view.images),
    }


def observed_pod(value: Mapping[str, Any]) -> PodView | None:
    """A pod of the app as the API shows it; None for what is ours, or is none."""
    try:
        return pod_view(value) if observed(value["metadata"]) else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def observed_workload(kind: str, value: Mapping[str, Any]) -> WorkloadView | None:
    """A workload of the app of *kind* as the API shows it; None for what is ours, or is none."""
    try:
        return workload_view(kind, value) if observed(value["metadata"]) else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def observed_event(value: Mapping[str, Any]) -> EventView | None:
    """An event as the API shows it; None for what is none."""
    try:
        return event_view(value)
    except ValueError:
        return None


def resumed(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """The records of an earlier start in *folder* that a new one goes on from."""
    return tuple(one for one in read_journal(folder) if one["kind"] in ("replica", "event"))
