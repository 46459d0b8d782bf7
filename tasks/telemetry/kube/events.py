"""Kubernetes' own events, each time they happen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.telemetry.kube.pods import seconds
from tasks.telemetry.prometheus.identity import workload

Key = tuple[str, int]
_TEMPLATE = re.compile(r"-[4-9bcdf]{6,10}$")
"""What a ReplicaSet's name has behind that of its Deployment."""
SLACK_S = 1.0
"""Their times are whole seconds."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One event, as often as it has happened so far."""

    uid: str
    count: int
    time_s: float
    """When it last happened."""
    first_s: float
    type: str
    """``Normal`` or ``Warning``."""
    reason: str
    """``Killing``, ``BackOff``, ``Unhealthy``, ``ScalingReplicaSet``."""
    kind: str
    """Of what it is about: ``Pod``."""
    name: str
    message: str
    source: str

    @property
    def key(self) -> Key:
        """Tells one happening from the next."""
        return self.uid, self.count

    def service(self, workloads: Mapping[str, str]) -> str:
        """Whom it is about; *workloads* are those of the pods that are known, by name."""
        if self.kind == "Pod":
            return workloads.get(self.name) or workload(self.name)
        return _TEMPLATE.sub("", self.name) if self.kind == "ReplicaSet" else self.name

    def facts(self, workloads: Mapping[str, str]) -> dict[str, Any]:
        """What is written down besides the time."""
        return {
            "uid": self.uid,
            "count": self.count,
            "first_s": self.first_s,
            "type": self.type,
            "reason": self.reason,
            "object": f"{self.kind.lower()}/{self.name}",
            "service": self.service(workloads),
            "message": self.message,
            "source": self.source,
        }


def event_view(event: Mapping[str, Any]) -> EventView:
    """
    *event* as the API shows it, by the old client or the new one.

    Raises:
        ValueError: It is none.
    """
    try:
        metadata, about, series = event["metadata"], event.get("involvedObject") or {}, event.get("series") or {}
        times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"), metadata.get("creationTimestamp"))
        last_s = next((found for one in times if (found := seconds(one)) is not None), 0.0)
        first_s = seconds(event.get("firstTimestamp")) or seconds(event.get("eventTime")) or last_s
        return EventView(
            uid=str(metadata["uid"]),
            count=int(series.get("count") or event.get("count") or 1),
            time_s=last_s,
            first_s=first_s,
            type=str(event.get("type") or "Normal"),
            reason=str(event.get("reason") or ""),
            kind=str(about.get("kind") or ""),
            name=str(about.get("name") or ""),
            message=str(event.get("message") or "")[:2000],
            source=str((event.get("source") or {}).get("component") or event.get("reportingComponent") or ""),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not an event: {error!r}") from error


@dataclass(slots=True)
class Happenings:
    """Tells which events are new: not from before *since_s*, and not told already."""

    since_s: float
    told: dict[str, int] = field(default_factory=dict)
    """How often each had happened when it was last told, by uid."""

    def new(self, event: EventView) -> bool:
        """Whether *event* is to be told; it is remembered."""
        if event.time_s < self.since_s - SLACK_S or self.told.get(event.uid, 0) >= event.count:
            return False
        self.told[event.uid] = event.count
        return True

    def gone(self, uid: str) -> None:
        """The cluster has forgotten it; so may we."""
        self.told.pop(uid, None)
