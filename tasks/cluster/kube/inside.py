"""What a run has in its namespaces, by its label: read anew each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tasks.base.clock import Clock
from tasks.cluster.kube.differences import applied_by_us
from tasks.cluster.kube.kinds import COPIED, NAMESPACE, OTHERS, OURS, Kind
from tasks.cluster.kube.manifests import Manifest
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden, NotFound
from tasks.kube.labels import run_selector
from tasks.kube.refs import ObjectRef


@dataclass(frozen=True, slots=True)
class Inside:
    """The namespaces of one run, for the time of one operation."""

    kube: Kube
    run: str
    namespaces: tuple[str, ...]
    clock: Clock
    further: tuple[Kind, ...] = ()
    """Kinds that this run is known to bring beside those of all."""
    _listable: dict[str, tuple[Kind, ...]] = field(default_factory=dict, repr=False, compare=False)

    def objects(self, more: Iterable[Kind] = ()) -> Iterator[Manifest]:
        """Everything that carries the run's label, of *more* kinds too; what controllers made of it is among it."""
        for namespace in self.namespaces:
            for kind in self.kinds(namespace, more):
                yield from self.of_kind(kind, namespace)

    def of_kind(self, kind: Kind, namespace: str) -> Iterator[Manifest]:
        """The run's objects of one kind in one namespace; none where the cluster does not know the kind."""
        for one in listed(self.kube, kind, namespace, labels=run_selector(self.run)):
            if kind.name not in COPIED or applied_by_us(one):
                yield one

    def kinds(self, namespace: str, more: Iterable[Kind] = ()) -> tuple[Kind, ...]:
        """Kinds that are looked for: ours, and of those that only manifests of users bring, the ones that this login may list."""
        if namespace not in self._listable:
            others = (kind for kind in OTHERS if self.kube.allowed(kind.permission("list", namespace)))
            self._listable[namespace] = (*OURS, *others)
        return tuple(sorted({*self._listable[namespace], *self.further, *more}))


def listed(kube: Kube, kind: Kind, namespace: str, *, labels: str = "") -> Iterator[Manifest]:
    """Objects of *kind* in *namespace* that *labels* select; none where the cluster does not know the kind."""
    if is_known(kube, kind, namespace):
        yield from kube.items(kube.path_of(kind.ref(namespace)).rpartition("/")[0], labels=labels)


def is_known(kube: Kube, kind: Kind, namespace: str) -> bool:
    """Whether the cluster has such objects at all."""
    try:
        kube.path_of(kind.ref(namespace))
    except NotFound:
        return False
    return True


def is_gone(kube: Kube, namespace: str) -> bool:
    """Whether *namespace* is seen not to be there, and nothing in it; where the login may not look at it, that is not known: False."""
    try:
        return kube.find(ObjectRef("v1", NAMESPACE, None, namespace)) is None
    except Forbidden:
        return False
