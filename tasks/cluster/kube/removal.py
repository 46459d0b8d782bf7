"""The rights that it takes to remove what is there of a run: asked before anything is removed, so that nothing is left half removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasks.cluster.kube.inside import Inside, is_gone, is_known
from tasks.cluster.kube.kinds import LEASE, LEASE_NAME, NAMESPACE, Kind
from tasks.cluster.kube.lease import Record
from tasks.cluster.kube.manifests import Manifest, leaving, made_by, owner_of
from tasks.cluster.kube.needs import RUN, SETUP, Need
from tasks.cluster.kube.teardown import of_others
from tasks.kube.client import Kube
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef

LOOKED_FOR = "what a run has made is looked for"
THERE = "what a run has made is there"
HELD = "the namespace is given back"


def lacking(inside: Inside) -> tuple[Need, ...]:
    """
    The rights that removing the run takes and the login does not have; kinds that it may not look at count as there.

    Those inside of a namespace often go with it: where it is seen to be gone none is needed.

    Raises:
        KubeError: The API server does not answer any more.
    """
    return tuple(need for name in inside.namespaces if not is_gone(inside.kube, name) for need in _of_namespace(inside, name))


def denied(kube: Kube, need: Need, there: Sequence[Manifest] = ()) -> bool:
    """Whether the login has not the right of *need*, be it for all objects of the kind or for each of those that are *there*."""
    names = [str(one["metadata"]["name"]) for one in there]
    if kube.allowed(need.permission):
        return False
    return not names or not all(kube.allowed(replace(need.permission, name=name)) for name in names)


def _of_namespace(inside: Inside, name: str) -> Iterator[Need]:
    around = [need for need in _to_look_around(inside, name) if denied(inside.kube, need)]
    objects = list(_of_objects(inside, name))
    yield from (*around, *objects)
    if not around:
        yield from (need for need in _to_end(inside, name, seen=not objects) if denied(inside.kube, need))


def _of_objects(inside: Inside, namespace: str) -> Iterator[Need]:
    for kind in inside.kinds(namespace):
        if is_known(inside.kube, kind, namespace):
            yield from _of_kind(inside, kind, namespace)


def _of_kind(inside: Inside, kind: Kind, namespace: str) -> Iterator[Need]:
    look, remove = (Need(kind.permission(verb, namespace), RUN, why) for verb, why in (("list", LOOKED_FOR), ("delete", THERE)))
    if denied(inside.kube, look):
        yield from (look, *([remove] if denied(inside.kube, remove) else ()))
        return
    there = [one for one in inside.of_kind(kind, namespace) if owner_of(one) is None and not leaving(one)]
    if there and denied(inside.kube, remove, there):
        yield remove


def _to_look_around(inside: Inside, name: str) -> Iterator[Need]:
    """The namespace itself, and the Lease of the run in its first one."""
    yield Need(Permission("get", "", "namespaces", namespace=name, name=name), RUN, "whether the namespace is there")
    if name == inside.namespaces[0]:
        yield Need(_of_lease("get", name), RUN, HELD)


def _to_end(inside: Inside, name: str, *, seen: bool) -> Iterator[Need]:
    """Where the run has made the namespace and nothing of others is *seen* in it, it goes, with all that is in it; else the Lease alone."""
    found = inside.kube.find(ObjectRef("v1", NAMESPACE, None, name))
    if found is None or leaving(found):
        return
    if made_by(found, inside.run):
        look = Need(_of_lease("get", name), RUN, "whether another run holds the namespace")
        yield look
        if not (seen and not denied(inside.kube, look) and any(True for _ in of_others(inside, name))):
            yield Need(Permission("delete", "", "namespaces", namespace=name, name=name), SETUP, "the run has made the namespace")
    elif name == inside.namespaces[0]:
        lease = inside.kube.find(LEASE.ref(name, LEASE_NAME))
        if lease is not None and Record.of(lease).run == inside.run:
            yield Need(_of_lease("delete", name), RUN, HELD)


def _of_lease(verb: str, namespace: str) -> Permission:
    return replace(LEASE.permission(verb, namespace), name=LEASE_NAME)
