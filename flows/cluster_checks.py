"""The checks of ``doctor`` on a cluster that a document names, and of the start of a run: what is planned may be done, and would work."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.cluster_plan import parts_of
from flows.document import Experiment
from flows.findings import Check
from flows.trust import by_cluster
from tasks.app.config import OwnChart
from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.scope import manifests_there
from tasks.base.errors import PreflightError, TidegaugeError
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster, KubernetesSettings, LocalCluster
from tasks.cluster.kube.checks import findings, reach
from tasks.cluster.kube.finding import Finding
from tasks.cluster.kube.inside import is_gone
from tasks.cluster.kube.lacking import lacks, subject_of
from tasks.cluster.kube.needs import SETUP, opted_in
from tasks.faults.kube.rights import by_mesh
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.rights import missing
from tasks.recordings.kube.rights import Parts, needs_of

Manifests = tuple[Mapping[str, Any], ...]
ELSEWHERE = "it comes from elsewhere, and would start programs: none is started to look"
READ_IT = "read what `tidegauge check FILE` lists, then keep it below the working directory"


def cluster_checks(document: Experiment, store: Path, *, trusted: bool = True) -> list[Check]:
    """
    A line a subject; none where the app runs on this machine. Nothing is changed, and no cluster is made.

    Args:
        document: What is to be run.
        store: Where clusters that commands made are noted.
        trusted: Whether programs that it brings may be started: commands or a login of its cluster, Helm for its chart.
    """
    cluster = document.cluster
    if isinstance(cluster, LocalCluster):
        return []
    if not trusted and by_cluster(cluster):
        return [Check("cluster", "warn", f"{cluster_name(cluster)}: {ELSEWHERE}", READ_IT)]
    if isinstance(cluster, CommandCluster):
        try:
            if not CommandProvider(store, cluster).there():
                text = f"{cluster.name} is not there: the run makes it with {cluster.commands}; what it lets us do is seen then"
                return [Check("cluster", "ok", text)]
        except TidegaugeError as error:
            return [Check("cluster", "fail", error.message, error.next_step or "")]
    access = access_of(cluster, store, auth_wait_s=0.0)
    if access is None:
        return [
            Check("cluster", "ok", f"{cluster_name(cluster)} is there; what it lets us do is seen when the run asks for its kubeconfig")
        ]
    found = reach(access)
    return [_check(found)] if isinstance(found, Finding) else _looks(found, document, cluster, trusted=trusted)


def access_of(cluster: KubernetesSettings, store: Path, *, auth_wait_s: float) -> KubeAccess | None:
    """How *cluster* is reached without starting a command; None: only the commands that make it know."""
    kubeconfig = getattr(cluster, "kubeconfig", None)
    if isinstance(cluster, CommandCluster):
        kept = CommandProvider(store, cluster).place.kubeconfig
        if not kept.is_file():
            return None
        kubeconfig = str(kept)
    return KubeAccess(kubeconfig, getattr(cluster, "context", None), auth_wait_s, cluster.insecure)


def cluster_name(cluster: KubernetesSettings) -> str:
    """How it is called in a sentence."""
    return cluster.name if isinstance(cluster, CommandCluster) else getattr(cluster, "context", None) or "the current context"


def manifests_in(kube: Kube, document: Experiment, cluster: KubernetesSettings, run: str) -> Manifests:
    """
    The objects of the app of *document*, as *run* would apply them there.

    Raises:
        DocumentError: They are not valid, or belong to the whole cluster.
        PreflightError: Helm is not installed, or files have changed.
        KubeError: The server does not answer.
    """
    return manifests_there(kube, app_of(document.app), Placement(cluster.namespace, run, cluster.allow_load_balancers))


def parts_in(kube: Kube, document: Experiment, cluster: KubernetesSettings, manifests: Manifests | None) -> Parts:
    """What of *document* asks for rights, as things stand: faults that Chaos Mesh does need others; raises KubeError."""
    parts = parts_of(document, cluster, manifests)
    return replace(parts, mesh=by_mesh(kube, parts.faults, cluster.namespace)) if cluster.chaos_mesh else parts


def require_rights(document: Experiment, store: Path, say: Callable[[str], None]) -> None:
    """
    Let a run begin only with every right that its document needs, to the last fault: nothing was written when one lacks.

    A cluster that the run makes itself is passed over: it belongs to whoever made it.

    Raises:
        PreflightError: Rights are missing, with the Role that would do; or nobody answers.
        CredentialsError: The login ended, and nobody logged in again in time.
        DocumentError: The manifests of the app are not valid.
    """
    if document.recorded:
        _require(document, store, say, lambda kube, cluster, app: parts_in(kube, document, cluster, app))


def require_rights_of_app(document: Experiment, store: Path, say: Callable[[str], None]) -> None:
    """Let ``up`` begin only with every right that its app alone needs; otherwise as :func:`require_rights`, and raises the same."""
    _require(document, store, say, lambda _, cluster, app: parts_of(document, cluster, app).app_alone)


def _require(
    document: Experiment, store: Path, say: Callable[[str], None], parts: Callable[[Kube, KubernetesSettings, Manifests], Parts]
) -> None:
    cluster = document.cluster
    if isinstance(cluster, LocalCluster):
        return
    access = access_of(cluster, store, auth_wait_s=cluster.auth_wait_s)
    if access is None or isinstance(cluster, CommandCluster):
        return
    kube = Kube.connect(access, say=say)
    found = needs_of(parts(kube, cluster, manifests_in(kube, document, cluster, "start")))
    to_make = is_gone(kube, cluster.namespace)  # what is optional where it is there is not where it has to be made
    needed = [need for need in found if not need.optional or (to_make and need.document == SETUP)]
    lacking = set(missing(kube, [need.permission for need in needed]))
    if lacking:
        told = lacks([need for need in needed if need.permission in lacking], subject_of(kube))
        raise PreflightError(f"{told.text}; nothing was written. What lacks:\n{told.more.rstrip()}", next_step=told.fix)


def _looks(kube: Kube, document: Experiment, cluster: KubernetesSettings, *, trusted: bool) -> list[Check]:
    there = [Check("opted in", "ok", text) for text in opted_in(cluster)]
    wanted: Manifests | None = None
    parts = parts_of(document, cluster, None)
    if not trusted and isinstance(document.app, OwnChart):
        unseen = Check("manifests", "warn", f"its chart: {ELSEWHERE}", READ_IT)
        return [*(_check(one) for one in findings(kube, cluster, (), needs_of(parts))), *there, unseen]
    try:
        wanted = manifests_in(kube, document, cluster, "doctor")
        parts = parts_in(kube, document, cluster, wanted)
    except TidegaugeError as error:
        there.append(Check("manifests", "fail", error.message, error.next_step or ""))
    return [*(_check(one) for one in findings(kube, cluster, wanted or (), needs_of(parts))), *there]


def _check(found: Finding) -> Check:
    return Check(found.name, found.state, found.text, found.fix, found.more)
