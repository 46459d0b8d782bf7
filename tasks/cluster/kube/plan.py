"""From what is wanted and what is there to the steps between them: a decision, nothing is asked or done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tasks.cluster.kube.differences import applied_by_us, why_different
from tasks.cluster.kube.kinds import MADE, rank_of
from tasks.cluster.kube.manifests import Manifest, leaving, made_by, owner_of
from tasks.cluster.provider import Change, Found
from tasks.kube.labels import MANAGED_BY, RUN
from tasks.kube.refs import ObjectRef

State = Literal["running", "waiting", "orphaned"]


def changes(wanted: Sequence[Manifest], there: Mapping[ObjectRef, Manifest]) -> tuple[Change[Manifest], ...]:
    """
    Steps from *there* (what this run has made) to *wanted* (prepared).

    First what has to be made or replaced, in an order in which that can be done, then what is not wanted, in the reverse order;
    alphabetical among equals.
    """
    targets = {ObjectRef.of(one): one for one in wanted}
    made = [_step(ref, one, there.get(ref)) for ref, one in sorted(targets.items(), key=lambda item: in_order(item[0]))]
    gone = sorted((ref for ref in there if ref not in targets), key=lambda ref: (-rank_of(ref), str(ref)))
    removals: tuple[Change[Manifest], ...] = tuple(Change(str(ref), "remove", None, "not wanted") for ref in gone)
    return (*(step for step in made if step is not None), *removals)


def in_order(ref: ObjectRef) -> tuple[int, str]:
    """Sorts objects into an order in which they can be made."""
    return rank_of(ref), str(ref)


def _step(ref: ObjectRef, wanted: Manifest, found: Manifest | None) -> Change[Manifest] | None:
    if found is None:
        return Change(str(ref), "create", wanted, "not there")
    if leaving(found):
        return Change(str(ref), "replace", wanted, "is on its way out")
    if not applied_by_us(found):
        return Change(str(ref), "replace", wanted, "nobody looks after it")
    why = why_different(wanted, found)
    return None if why is None else Change(str(ref), "replace", wanted, why)


def not_ours(found: Mapping[str, Any], run: str) -> str | None:
    """Why *found*, which stands where something is wanted, must not be touched by *run*; None when it may."""
    if made_by(found, run):
        return None
    labels = (found.get("metadata") or {}).get("labels") or {}
    ref = ObjectRef.of(found)
    if labels.get(MANAGED_BY) == "tidegauge":
        return f"{ref} belongs to run {labels.get(RUN, '?')}"
    keeper = labels.get(MANAGED_BY) or _managers(found) or "somebody else"
    return f"{ref} is there already, made by {keeper}"


def _managers(found: Mapping[str, Any]) -> str:
    entries = (found.get("metadata") or {}).get("managedFields") or ()
    return ", ".join(dict.fromkeys(str(one.get("manager")) for one in entries if not one.get("subresource")))


def found_of(objects: Iterable[Manifest]) -> tuple[Found[Manifest], ...]:
    """*objects* that we made, not those that controllers made of them, in alphabetical order."""
    own = [one for one in objects if owner_of(one) is None]
    return tuple(sorted((_found(one) for one in own), key=lambda one: one.name))


def _found(one: Manifest) -> Found[Manifest]:
    ref, metadata = ObjectRef.of(one), one["metadata"]
    version = metadata.get("generation") if "spec" in one else metadata.get("resourceVersion")
    return Found(str(ref), state_of(one), one, f"version {version} of {metadata.get('uid', '?')}")


def state_of(one: Mapping[str, Any]) -> State:
    """
    Whether *one* does what it is for: a workload is ready, anything else is there.

    ``orphaned``: what only controllers make, whose controller is gone, and what others have made anew under our labels.
    """
    ref = ObjectRef.of(one)
    if owner_of(one) is None and not applied_by_us(one) and (rank_of(ref) == MADE or leaving(one)):
        return "orphaned"
    return "running" if not leaving(one) and _ready(ref.kind, one) else "waiting"


def _ready(kind: str, one: Mapping[str, Any]) -> bool:
    status = one.get("status") or {}
    if kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        wanted = (one.get("spec") or {}).get("replicas", 1)
        seen = status.get("observedGeneration", 0) >= one["metadata"].get("generation", 0)
        updated = kind == "ReplicaSet" or status.get("updatedReplicas", 0) >= wanted
        return bool(seen and updated and status.get("readyReplicas", 0) >= wanted)
    if kind == "DaemonSet":
        return bool(status.get("numberReady", 0) >= status.get("desiredNumberScheduled", 1))
    if kind == "Pod":
        return status.get("phase") == "Succeeded" or "Ready" in _true(status)
    return "Failed" not in _true(status) if kind == "Job" else True


def _true(status: Mapping[str, Any]) -> set[str]:
    """The conditions that hold."""
    return {str(one.get("type")) for one in status.get("conditions") or () if one.get("status") == "True"}
