"""What a document will do in its cluster, from the document alone: namespaces, objects, what reaches further, and the rights for it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.document import Experiment
from flows.timeline import Timeline
from tasks.app.config import ChartApp
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.kinds import OURS
from tasks.cluster.kube.needs import Need, opted_in
from tasks.faults.kube.rights import made_by
from tasks.load.kube.rights import MADE
from tasks.recordings.kube.rights import Parts, kinds_of, needs_of, targets_of
from tasks.telemetry.config import KubeletSource, PrometheusSource
from tasks.telemetry.kube.rights import made, wide

LABEL = "plan"
UNRENDERED = (
    "only Helm knows what it makes, and a plan starts no program: the rights above are those for Deployments and what goes with them. "
    "`tidegauge doctor FILE` renders it, as a run does before it writes anything, and tells what StatefulSets and other kinds need"
)
"""What is to be said of an app that is a chart."""
Manifests = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Objects:
    """What one part of a run puts into the cluster."""

    part: str
    counts: Mapping[str, int] | None
    """Objects by kind; None: only Helm knows."""
    when: str
    """How often, and for how long."""

    @property
    def text(self) -> str:
        """``8 Deployments, 1 Service``."""
        counts = self.counts or {}
        return (
            ", ".join(f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in counts.items())
            if counts
            else "whatever its chart makes"
        )


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What is written where, and what it takes."""

    provider: str
    namespaces: tuple[str, ...]
    """The only ones that are written to."""
    create_namespace: bool
    opted_in: tuple[str, ...]
    """Settings that reach further than the namespaces, a sentence each."""
    wide: str | None
    """What is to be said of rights of the telemetry that do; None: it has none."""
    chart: str | None
    """What is to be said of objects that nobody knows yet; None: they are all known."""
    objects: tuple[Objects, ...]
    rights: tuple[Need, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "provider": self.provider,
            "namespaces": list(self.namespaces),
            "create_namespace": self.create_namespace,
            "opted_in": list(self.opted_in),
            "wide": self.wide,
            "chart": self.chart,
            "objects": [
                {"part": one.part, "counts": None if one.counts is None else dict(one.counts), "when": one.when} for one in self.objects
            ],
            "rights": [
                {"right": str(need.permission), "why": need.why, "document": need.document, "optional": need.optional}
                for need in self.rights
            ],
        }


def parts_of(document: Experiment, cluster: KubernetesSettings, manifests: Manifests | None) -> Parts:
    """What of *document* asks for rights in *cluster*; without *manifests*, the app is taken to be of the usual kinds."""
    trials = () if document.faults is None else tuple((trial.kind, trial.target) for trial in document.faults.trials)
    faults = tuple(dict.fromkeys(kind for kind, _ in trials))
    kinds = OURS if manifests is None else kinds_of(manifests)
    return Parts(cluster, kinds, document.load, document.telemetry, faults, targets_of(trials, manifests or ()))


def cluster_plan(document: Experiment, timeline: Timeline) -> ClusterPlan | None:
    """
    The plan of *document*; None: it touches no cluster. Nothing is asked, and no program is started.

    Raises:
        DocumentError: The manifests of the app are not valid.
    """
    cluster = document.cluster
    if not isinstance(cluster, KubernetesSettings) or not document.recorded:
        return None
    app = app_of(document.app)
    chart = isinstance(app.settings, ChartApp)
    manifests = None if chart else manifests_of(app, Placement(cluster.namespace, LABEL, cluster.allow_load_balancers))
    parts = parts_of(document, cluster, manifests)
    objects = tuple(_objects(document, parts, manifests, timeline))
    source = document.telemetry.source
    return ClusterPlan(
        provider=cluster.provider,
        namespaces=parts.namespaces,
        create_namespace=cluster.create_namespace,
        opted_in=opted_in(cluster),
        wide=wide(source) if isinstance(source, KubeletSource | PrometheusSource) else None,
        chart=UNRENDERED if chart else None,
        objects=objects,
        rights=needs_of(parts),
    )


def _objects(document: Experiment, parts: Parts, manifests: Manifests | None, timeline: Timeline) -> Iterator[Objects]:
    source, home = document.telemetry.source, parts.cluster.namespace
    each = f"anew for each of {len(timeline.recordings)} recordings"
    yield Objects("run", {"Lease": 1}, "as long as a recording lasts")
    yield Objects("app", None if manifests is None else Counter(str(one["kind"]) for one in manifests), each)
    if parts.load is not None and parts.load.place == "pods":
        yield Objects("load", {**MADE, "Pod": 1}, f"{each}; the pod is the smoke test's")
    if isinstance(source, KubeletSource | PrometheusSource) and (put := made(source, home)):
        yield Objects("telemetry", Counter(str(one["kind"]) for one in put), each)
    trials = [trial for recording in timeline.recordings for trial in recording.trials]
    if trials:
        total: Counter[str] = Counter()
        for trial in trials:
            total.update(made_by(trial.kind))
        yield Objects("faults", total or {"object": 0}, f"for {len(trials)} faults and placebos, those of one at a time")


def cluster_text(plan: ClusterPlan) -> str:
    """The plan as lines; what is opted in to is said with the timeline."""
    places = " and ".join(plan.namespaces)
    made_here = "made where it is not there, and then removed in the end" if plan.create_namespace else "which has to be there"
    lines = [f"cluster ({plan.provider}): nothing is written outside of {places}, {made_here}"]
    lines += [f"  {one.part:9}  {one.text}: {one.when}" for one in plan.objects]
    lines.append(f"  {'rights':9}  {_rights_text(plan.rights)}")
    told = {"chart": plan.chart, "wide": plan.wide}
    lines += [f"  {name:9}  {text}" for name, text in told.items() if text is not None]
    return "\n".join(lines)


def _rights_text(rights: Iterable[Need]) -> str:
    needed = [need for need in rights if not need.optional]
    files = list(dict.fromkeys(f"configs/rbac/{need.document}.yaml" for need in needed if need.document is not None))
    others = sum(need.document is None for need in needed)
    text = f"{len(needed)}, granted by {' and '.join(files)}"
    text += f", but for {others} that none of them grants" if others else ""
    return f"{text}; --json lists them, `tidegauge doctor FILE` tries each"
