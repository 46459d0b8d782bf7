"""``run --dry-run``: the plan, the rights for it, and every object tried at the server without being made. Nothing is written anywhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.cluster_checks import Manifests, access_of, cluster_name, manifests_in, parts_in
from flows.cluster_plan import cluster_plan, cluster_text, parts_of
from flows.console import Common
from flows.document import Experiment
from flows.drawing import drawn
from flows.timeline import timeline
from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.reaching import entrance
from tasks.base.clock import SystemClock
from tasks.base.errors import LockedError, PreflightError, TidegaugeError
from tasks.cluster.config import KubernetesSettings, LocalCluster
from tasks.cluster.kube.checks import lease, namespace, rights
from tasks.cluster.kube.finding import Finding
from tasks.cluster.kube.lacking import name_of
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.needs import Need
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.kube.rehearsal import NOT_THERE, Write, rehearse, tried
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import role_text, roles
from tasks.load.journey import shipped_folders
from tasks.load.kube.objects import objects_of
from tasks.recordings.kube.deployed import TOOLS
from tasks.recordings.kube.rights import Parts, needs_of
from tasks.recordings.kube.smoke_job import smoke_pod
from tasks.recordings.kube.wide import is_wide
from tasks.telemetry.config import KubeletSource, PrometheusSource
from tasks.telemetry.kube.rights import made

RUN = "dry-run"
"""Label of a run that never is: nothing carries it."""
FAULTS_LATER = "what faults do is tried at the server in the same way just before each begins, when there are pods to do it to"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would be done to a cluster, and what it said."""

    findings: tuple[Finding, ...] = ()
    """Rights, the namespace, and who is at work there."""
    needs: tuple[Need, ...] = ()
    writes: tuple[Write, ...] = ()
    untried: tuple[str, ...] = ()
    """What could not be rehearsed, a sentence each."""

    @property
    def role(self) -> str:
        """Roles with every right that is needed, as YAML; empty where there is no cluster."""
        needed = [need.permission for need in self.needs if not need.optional]
        return role_text(roles(name_of(needed), needed)) if needed else ""

    def raise_for_refusals(self) -> None:
        """
        End as the run would.

        Raises:
            LockedError: Another run holds the namespace.
            PreflightError: A right lacks, or something is refused.
        """
        failed = [one for one in self.findings if one.state == "fail"]
        if held := [one for one in failed if one.name == "lease"]:
            raise LockedError(held[0].text, next_step=held[0].fix)
        if failed:
            raise PreflightError(failed[0].text, next_step=failed[0].fix)
        if refused := [one for one in self.writes if one.verdict == "refused"]:
            raise PreflightError(
                f"{len(refused)} of {len(self.writes)} objects would be refused; the first, {refused[0].name}: {refused[0].said}",
                next_step="mend what it says, then: tidegauge doctor FILE",
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "findings": [{"name": one.name, "state": one.state, "text": one.text, "fix": one.fix} for one in self.findings],
            "writes": [
                {"action": one.action, "object": one.name, "why": one.why, "verdict": one.verdict, "said": one.said} for one in self.writes
            ],
            "untried": list(self.untried),
            "role": self.role,
        }


def rehearsal(document: Experiment, store: Path, common: Common) -> Rehearsal:
    """
    Try at the server what *document* would write.

    Raises:
        PreflightError: The cluster cannot be reached, or something stands in the way of the first object.
        CredentialsError: The login is missing or has ended.
        DocumentError: The objects are not valid.
    """
    cluster = document.cluster
    if not document.recorded:
        return Rehearsal(untried=("every recording is imported: nothing is deployed",))
    if isinstance(cluster, LocalCluster):
        return Rehearsal(untried=("the app runs as processes on this machine: there is no server to ask",))
    access = access_of(cluster, store, auth_wait_s=0.0)
    if access is None:
        parts = parts_of(document, cluster, None)
        return Rehearsal(needs=needs_of(parts), untried=(f"{cluster_name(cluster)} is made by commands, and none is started now",))
    kube = Kube.connect(access, say=common.say)
    return _at_the_server(kube, document, cluster)


def _at_the_server(kube: Kube, document: Experiment, cluster: KubernetesSettings) -> Rehearsal:
    app = manifests_in(kube, document, cluster, RUN)
    parts = parts_in(kube, document, cluster, app)
    needs = needs_of(parts)
    found = [*rights(kube, needs), *namespace(kube, cluster)]
    writes: tuple[Write, ...] = ()
    untried = [FAULTS_LATER] if parts.faults else []
    try:
        found += lease(kube, cluster, SystemClock())
        writes = tuple(_writes(kube, document, parts, app))
    except Forbidden as error:
        untried.insert(0, f"what is there already may not be seen, so that no object was tried: {error.message}")
    return Rehearsal(tuple(found), needs, writes, tuple(untried))


def _writes(kube: Kube, document: Experiment, parts: Parts, app: Manifests) -> Iterator[Write]:
    cluster, source = parts.cluster, document.telemetry.source
    put = made(source, cluster.namespace, RUN) if isinstance(source, KubeletSource | PrometheusSource) else ()
    bounds = Bounds(RUN, parts.namespaces, cluster.allow_load_balancers, cluster.create_namespace)
    found = rehearse(KubeProvider(kube, bounds), [*app, *(one for one in put if not is_wide(one))])
    yield from found
    absent = {one.name for one in found if one.action == "create"} & {f"namespace/{cluster.namespace}"}
    for one in _users(document, parts, app):  # no more is looked at than the load itself looks at: its names are of its own
        name, why = str(ObjectRef.of(one)), "of the load"
        yield Write("create", name, why, "not tried", NOT_THERE) if absent else tried(kube, one, "create", name, why)
    for one in put:
        if is_wide(one):
            yield tried(kube, one, "create", str(ObjectRef.of(one)), "of the run alone")


def _users(document: Experiment, parts: Parts, manifests: Manifests) -> Iterable[dict[str, Any]]:
    """The load, and the smoke test before it; nothing where they come from this machine."""
    load = document.traffic()
    if load.place == "here":
        return ()
    app, where = app_of(document.app), Placement(parts.cluster.namespace, RUN, parts.cluster.allow_load_balancers)
    address = entrance(app, [dict(one) for one in manifests], where.namespace).address
    smoke = smoke_pod(where, app, address, load.image or parts.cluster.tools_image or TOOLS)
    return (smoke, *objects_of(load, where.namespace, RUN, host=address, folders=shipped_folders()))


def dry_run(document: Experiment, source: str, common: Common) -> int:
    """
    Show the plan, the rights and what the server says of each object; 0 when nothing speaks against the run.

    Raises:
        TidegaugeError: As the run would end before it begins.
    """
    laid = timeline(document, source)
    planned = cluster_plan(document, laid)
    lines = [drawn(document, laid), *([] if planned is None else [cluster_text(planned)])]
    value: dict[str, Any] = {**laid.to_json(), "cluster": None if planned is None else planned.to_json()}
    failure: TidegaugeError | None = None
    try:
        found = rehearsal(document, common.store_path(), common)
    except TidegaugeError as error:
        found, failure = Rehearsal((), () if planned is None else planned.rights, (), (f"the objects: {error.message}",)), error
    common.show({**value, "dry_run": found.to_json()}, "\n".join([*lines, *_lines(found)]))
    if failure is not None:
        raise failure
    found.raise_for_refusals()
    return 0


def _lines(found: Rehearsal) -> Iterator[str]:
    if found.role:
        yield "rights needed:"
        yield from (f"  {line}" for line in found.role.splitlines())
    yield "dry run, nothing is written:"
    for one in found.findings:
        yield f"  {one.state:9} {one.name}: {one.text}"
        yield from (f"            {line}" for line in one.more.splitlines())
    yield from (f"  {one.verdict:9} {one.action} {one.name}{f': {one.said}' if one.said else ''}" for one in found.writes)
    yield from (f"  {'not tried'} {text}" for text in found.untried)
