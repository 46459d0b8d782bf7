"""
One run at a time in a namespace: a Lease that says who, until when.

The decision is here, as values; :mod:`tasks.cluster.kube.holding` asks and writes. Every write carries the version that it was
decided on, so that the server refuses whoever comes second.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from tasks.base.clock import from_iso
from tasks.cluster.kube.kinds import LEASE, LEASE_NAME
from tasks.kube.labels import RUN, run_labels

Verdict = Literal["free", "ours", "held", "doubtful"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wants to hold it: no two processes are the same one."""

    run: str
    host: str = field(default_factory=socket.gethostname)
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    def __str__(self) -> str:
        """As it stands in the Lease."""
        return f"{self.run} on {self.host} ({self.token})"


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says."""

    holder: str
    """Empty: nobody."""
    run: str
    """Of the holder."""
    renewed_s: float | None
    """Wall time of the last renewal by the holder's clock, in seconds since 1970; None: never."""
    duration_s: float
    """It holds for so long after a renewal, in seconds."""
    version: str
    """Of the object; another one after every write."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """What the object *found* says."""
        metadata, spec = found["metadata"], found.get("spec") or {}
        renewed = spec.get("renewTime") or spec.get("acquireTime")
        return cls(
            holder=str(spec.get("holderIdentity") or ""),
            run=str((metadata.get("labels") or {}).get(RUN, "")),
            renewed_s=None if renewed is None else from_iso(renewed),
            duration_s=float(spec.get("leaseDurationSeconds") or 0),
            version=str(metadata.get("resourceVersion", "")),
        )

    def verdict(self, holder: Holder, now_s: float) -> Verdict:
        """
        What *holder* may do at the wall time *now_s*.

        ``doubtful``: it has expired by our clock; the holder's may be wrong, so that it is free only if nobody renews it meanwhile.
        """
        if self.holder == str(holder):
            return "ours"
        if not self.holder:
            return "free"
        return "held" if self.left_s(now_s) > 0 else "doubtful"

    @property
    def watch_s(self) -> float:
        """So long, in seconds, one that has expired is watched before it is taken over: half of its time."""
        return self.duration_s / 2

    def left_s(self, now_s: float) -> float:
        """Seconds until it expires; negative when it has."""
        return 0.0 if self.renewed_s is None else self.renewed_s + self.duration_s - now_s


def new_lease(namespace: str, holder: Holder, duration_s: float, now_s: float) -> dict[str, Any]:
    """The Lease of *namespace*, held from *now_s* on."""
    metadata = {"name": LEASE_NAME, "namespace": namespace, "labels": run_labels(holder.run, "lease")}
    return {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": _spec(holder, duration_s, now_s)}


def taken(holder: Holder, duration_s: float, now_s: float, version: str) -> dict[str, Any]:
    """The change that gives a Lease to *holder*, or renews it, if it still has *version*."""
    return {
        "metadata": {"resourceVersion": version, "labels": run_labels(holder.run, "lease")},
        "spec": _spec(holder, duration_s, now_s),
    }


def _spec(holder: Holder, duration_s: float, now_s: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"holderIdentity": str(holder), "leaseDurationSeconds": round(duration_s), "renewTime": moment}
