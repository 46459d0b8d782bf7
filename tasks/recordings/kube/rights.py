"""The rights that one document needs in its cluster: those of its app, load, telemetry and faults put together, nothing asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.kinds import OURS, POD, Kind, kind_of
from tasks.cluster.kube.needs import NODES_PROXY, RUN, Need, needs, to_look
from tasks.faults.kube.rights import WORKLOADS, mesh_only, rights_of
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import without_names
from tasks.load.config import LoadConfig
from tasks.load.kube.rights import needed as load_needs
from tasks.telemetry.config import KubeletSource, PrometheusSource, TelemetryConfig
from tasks.telemetry.kube.rights import needed as telemetry_needs

SMOKE = (("pods", "", ("get", "create", "patch", "delete")), ("pods", "log", ("get",)))
NODE_PAGES = Permission("get", "", "nodes", "proxy")
PROMETHEUS = "prometheus"
"""The document that grants what it takes to put a Prometheus into the cluster."""
EXPLAINS = (("events", "", "list"), ("pods", "log", "get"))
"""What a run goes on without, but then cannot tell why a pod does not start, and keeps no output of the app."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything of a document that asks for rights."""

    cluster: KubernetesSettings
    kinds: tuple[Kind, ...]
    """Of the objects that the app is made of."""
    load: LoadConfig | None
    telemetry: TelemetryConfig
    faults: tuple[str, ...]
    """Kinds of faults, each once."""
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By kind of fault, what its targets are: ``deployments``, ``statefulsets``; of a kind that is not there, whatever the app has."""
    mesh: frozenset[str] = frozenset()
    """Those kinds of faults that Chaos Mesh does."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All that are written to, the app's first."""
        return namespaces_of(self.cluster, self.telemetry)

    @property
    def app_alone(self) -> Parts:
        """What ``up`` puts there: the app, and nothing that watches it, loads it or breaks it."""
        return Parts(self.cluster.model_copy(update={"node_proxy": False}), self.kinds, None, TelemetryConfig(), ())


def namespaces_of(cluster: KubernetesSettings, telemetry: TelemetryConfig) -> tuple[str, ...]:
    """The only namespaces that a run writes to: the app's, then that of a Prometheus which it puts there; each once."""
    source = telemetry.source
    further = [source.deploy.namespace] if isinstance(source, PrometheusSource) and source.deploy is not None else []
    return tuple(dict.fromkeys((cluster.namespace, *further)))


def kinds_of(manifests: Iterable[Mapping[str, Any]]) -> tuple[Kind, ...]:
    """The kinds of *manifests*, each once, in the order in which they are made."""
    return tuple(sorted({kind_of(ObjectRef.of(one)) for one in manifests}))


def needs_of(parts: Parts) -> tuple[Need, ...]:
    """Each right once, with the first reason for it; one that is wanted by one part and needed by another is needed."""
    usual = {need.permission for need in needs(parts.cluster)}
    found = (*needs(parts.cluster, (*parts.kinds, *_pods(parts)), tuple(_others(parts))), *_explains(parts.cluster.namespace))
    strict = {need.permission for need in found if not need.optional}
    first: dict[Permission, Need] = {}
    for need in found:
        if not need.optional or need.permission not in strict:
            granted = need.document != RUN or not usual.isdisjoint({need.permission, *without_names([need.permission])})
            first.setdefault(need.permission, need if granted else replace(need, document=None))
    return tuple(first.values())


def targets_of(trials: Iterable[tuple[str, str]], manifests: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """By kind of fault, which of :data:`WORKLOADS` its targets are; *trials* are pairs of kind and target."""
    plurals = {(kind.plural, str(one["metadata"]["name"])) for one in manifests for kind in kinds_of([one]) if kind.plural in WORKLOADS}
    found: dict[str, set[str]] = {}
    for fault, target in trials:
        found.setdefault(fault, set()).update(plural for plural, name in plurals if name == target)
    return {fault: tuple(sorted(plurals)) for fault, plurals in found.items() if plurals}


def _pods(parts: Parts) -> Sequence[Kind]:
    """The smoke test is a pod of its own, where the load comes from the cluster."""
    return (POD,) if parts.load is not None and parts.load.place == "pods" else ()


def _others(parts: Parts) -> Iterator[Need]:
    home, load, source = parts.cluster.namespace, parts.load, parts.telemetry.source
    for name in parts.namespaces[1:]:
        yield from to_look(name, PROMETHEUS)
    if load is not None and load.place == "pods":
        smoke = (Permission(verb, "", what, sub, home) for what, sub, verbs in SMOKE for verb in verbs)
        yield from _of(smoke, "the smoke test of the app is a pod", home)
        yield from _of(load_needs(load, home), "load.place: pods", home)
    if isinstance(source, KubeletSource | PrometheusSource):
        put = isinstance(source, PrometheusSource) and source.deploy is not None
        yield from _of(telemetry_needs(source, home), f"telemetry.sources: {source.kind}", home, PROMETHEUS if put else None)
    usual = [kind.plural for kind in parts.kinds if kind.plural in WORKLOADS] or WORKLOADS[:1]
    for kind in parts.faults:
        ours = rights_of([kind], home, workloads=parts.targets.get(kind, usual))
        yield from _of(sorted(mesh_only(kind, home) if kind in parts.mesh else ours, key=str), f"the fault {kind}", home)


def _of(permissions: Iterable[Permission], why: str, home: str, further: str | None = None) -> Iterator[Need]:
    """
    *permissions* as needs; what is created is looked for and removed in the end, whoever has made it.

    Args:
        permissions: Which.
        why: What they are for.
        home: The app's namespace.
        further: The document that grants those outside of it; None: none does.
    """
    removable = {(kind.api_version.rpartition("/")[0], kind.plural): kind for kind in OURS}
    for one in permissions:
        document = RUN if one.namespace == home else NODES_PROXY if one == NODE_PAGES else further
        yield Need(one, document, why)
        kind = removable.get((one.group, one.what))
        if one.verb == "create" and kind is not None and one.namespace is not None:
            yield Need(kind.permission("delete", one.namespace), document, why)


def _explains(home: str) -> Iterator[Need]:
    for resource, sub, verb in EXPLAINS:
        why = "why a pod does not start is told, and the output of the app is kept"
        yield Need(Permission(verb, "", resource, sub, home), RUN, why, optional=True)
