"""Everything of a run out of its namespaces, and a list of what would not go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.cluster.kube.inside import Inside, is_gone, listed
from tasks.cluster.kube.kinds import LEASE, LEASE_NAME, MADE, NAMESPACE, OURS, WORKLOAD, kind_of, rank_of
from tasks.cluster.kube.leftovers import leftover, what_keeps
from tasks.cluster.kube.manifests import Manifest, labels_of, leaving, made_by, owner_of
from tasks.cluster.kube.volumes import volumes_left, volumes_of
from tasks.cluster.provider import Leftover
from tasks.kube.errors import Conflict, Forbidden
from tasks.kube.labels import RUN
from tasks.kube.refs import ObjectRef

POLL_S = 0.25
AUTOMATIC = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
"""What every namespace has without anybody's asking."""
MADE_KINDS = tuple(kind for kind in OURS if kind.rank == MADE)
SHOWN = 5
ROUNDS = 5
"""Whoever makes things anew more often than this is told of, not fought."""

Refused = dict[ObjectRef, str]
"""What could not be asked to go, and why."""


def take_down(inside: Inside, patience_s: float, say: Callable[[str], None]) -> tuple[Leftover, ...]:
    """
    Remove the run's objects, what was made first last, wait until they are gone, then remove the namespaces that the run made.

    Raises:
        KubeError: The API server does not answer any more.
    """
    everywhere, inside = inside, replace(inside, namespaces=tuple(name for name in inside.namespaces if not is_gone(inside.kube, name)))
    there = tuple(inside.objects())
    volumes = volumes_of(there)
    refused: Refused = {}
    for _ in range(ROUNDS):  # what was still on its way when we looked (a request of a killed process) is seen the next time
        if not there:
            break
        say(f"removing {len(there)} objects of run {inside.run}")
        for one in sorted(there, key=lambda one: (-_removal_rank(one), str(ObjectRef.of(one)))):
            _ask_to_go(inside, one, refused)
        if _await(inside, there, refused, patience_s):
            there = tuple(inside.objects())
            break
        there = tuple(inside.objects())
    found = [leftover(one, refused.get(ObjectRef.of(one))) for one in sorted(there, key=lambda one: str(ObjectRef.of(one)))]
    for name in inside.namespaces:
        found += _namespace_down(inside, name, patience_s, empty=not there)
    return (*found, *volumes_left(everywhere, volumes, patience_s))


def _removal_rank(one: Manifest) -> int:
    """Workloads go first, and with them what controllers made."""
    return min(WORKLOAD, rank_of(ObjectRef.of(one)))


def _ask_to_go(inside: Inside, one: Manifest, refused: Refused) -> None:
    ref = ObjectRef.of(one)
    if leaving(one) or owner_of(one) is not None:
        return  # a pod of a ReplicaSet goes with its Deployment; removed alone, it would only be made anew
    try:
        inside.kube.delete(ref, propagation="Foreground" if kind_of(ref).rank >= WORKLOAD else "Background")
    except (Forbidden, Conflict) as error:
        refused[ref] = error.message


def _await(inside: Inside, there: Sequence[Manifest], refused: Refused, patience_s: float) -> dict[ObjectRef, Manifest]:
    """What is left of *there*, and of what was made of it, once everything that could be asked is gone, or patience is over."""
    kinds = {(kind_of(ObjectRef.of(one)), str(one["metadata"]["namespace"])) for one in there}
    kinds |= {(kind, namespace) for _, namespace in kinds for kind in MADE_KINDS}
    until_s = inside.clock.monotonic_s() + patience_s
    while True:
        left = {ObjectRef.of(one): one for kind, namespace in sorted(kinds) for one in inside.of_kind(kind, namespace)}
        if not set(left) - set(refused) or inside.clock.monotonic_s() > until_s:
            return left
        for ref, one in left.items():
            if ref not in refused and _abandoned(one, left):
                _ask_to_go(inside, {**one, "metadata": one["metadata"] | {"ownerReferences": []}}, refused)
        inside.clock.sleep(POLL_S)


def _abandoned(one: Manifest, left: Mapping[ObjectRef, Manifest]) -> bool:
    """Not on its way out, and nobody is left who would take it along: its controller was removed without it."""
    owner = owner_of(one)
    return not leaving(one) and (owner is None or not any(ref.kind == owner.get("kind") and ref.name == owner.get("name") for ref in left))


def _namespace_down(inside: Inside, name: str, patience_s: float, *, empty: bool) -> Iterator[Leftover]:
    """Remove the namespace *name* if the run made it and nothing of others is in it."""
    ref = ObjectRef("v1", NAMESPACE, None, name)
    found = inside.kube.find(ref)
    if found is None or not made_by(found, inside.run):
        return
    strangers = [str(ObjectRef.of(one)) for one in of_others(inside, name)]
    if strangers:
        more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
        yield leftover(found, f"holds what this run has not made: {', '.join(strangers[:SHOWN])}{more}")
        return
    if not empty:
        yield leftover(found, "is kept until everything in it is gone")
        return
    try:
        inside.kube.delete(ref)
    except (Forbidden, Conflict) as error:
        yield leftover(found, error.message)
        return
    until_s = inside.clock.monotonic_s() + patience_s
    while (found := inside.kube.find(ref)) is not None:
        if inside.clock.monotonic_s() > until_s:
            yield leftover(found, f"is being removed{what_keeps(found)}")
            return
        inside.clock.sleep(POLL_S)


def of_others(inside: Inside, namespace: str) -> Iterator[Manifest]:
    """What lies in *namespace* and would be lost with it, though this run has not made it."""
    for kind in inside.kinds(namespace):
        for one in listed(inside.kube, kind, namespace):
            automatic = (kind.name, one["metadata"]["name"]) in AUTOMATIC or one.get("type") == "kubernetes.io/service-account-token"
            if owner_of(one) is None and not automatic and not made_by(one, inside.run):
                yield one
    lease = inside.kube.find(LEASE.ref(namespace, LEASE_NAME))
    if lease is not None and labels_of(lease).get(RUN) != inside.run:
        yield lease
