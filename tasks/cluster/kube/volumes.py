"""Persistent volumes that outlive the claims of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.cluster.kube.inside import Inside
from tasks.cluster.kube.kinds import NAMESPACE, VOLUME_CLAIM
from tasks.cluster.kube.leftovers import leftover
from tasks.cluster.kube.manifests import Manifest
from tasks.cluster.provider import Leftover
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef

POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume that a claim of the run was bound to."""

    name: str
    claim: str


def volumes_of(objects: Iterable[Manifest]) -> tuple[Volume, ...]:
    """The volumes that the claims among *objects* are bound to."""
    claims = [one for one in objects if one.get("kind") == VOLUME_CLAIM.name]
    bound = [(str(name), str(ObjectRef.of(one))) for one in claims if (name := (one.get("spec") or {}).get("volumeName"))]
    return tuple(Volume(*one) for one in bound)


def volumes_left(inside: Inside, known: Iterable[Volume], patience_s: float) -> Iterator[Leftover]:
    """
    Volumes that are there though their claims are gone: those that were *known* before, and those of namespaces that are gone.

    One that is to be deleted with its claim is waited for; where the login may not look at volumes, the known ones are named.
    """
    claims = {one.name: one.claim for one in known}
    if not inside.kube.allowed(Permission("list", "", "persistentvolumes")):
        unseen = "may be there: this login may not look at persistent volumes; it was bound to"
        yield from (Leftover(f"persistentvolume/{name}", "?", f"{unseen} {claim}") for name, claim in sorted(claims.items()))
        return
    gone = {name for name in inside.namespaces if inside.kube.find(ObjectRef("v1", NAMESPACE, None, name)) is None}
    until_s = inside.clock.monotonic_s() + patience_s
    while True:
        left = sorted(_left(inside, claims, gone), key=lambda one: str(one["metadata"]["name"]))
        going = [one for one in left if one["spec"].get("persistentVolumeReclaimPolicy") == "Delete"]
        if not going or inside.clock.monotonic_s() > until_s:
            break
        inside.clock.sleep(POLL_S)
    for one in left:
        claim = one["spec"].get("claimRef") or {}
        policy = one["spec"].get("persistentVolumeReclaimPolicy", "?")
        yield leftover(one, f"was bound to the claim {claim.get('name')} in {claim.get('namespace')}; its reclaim policy is {policy}")


def _left(inside: Inside, claims: dict[str, str], gone: set[str]) -> Iterator[Manifest]:
    for one in inside.kube.items("/api/v1/persistentvolumes"):
        namespace = (one["spec"].get("claimRef") or {}).get("namespace")
        if namespace in inside.namespaces and (one["metadata"]["name"] in claims or namespace in gone):
            yield one
