"""The checks of ``doctor`` on a cluster that a document names: can it be reached, may we do what is planned, what would not work there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.document import Experiment
from flows.findings import Check
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.scope import require_namespaced
from tasks.base.errors import TidegaugeError
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster, KubernetesSettings, LocalCluster
from tasks.cluster.kube.checks import findings, reach
from tasks.cluster.kube.finding import Finding
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube


def cluster_checks(document: Experiment, store: Path) -> list[Check]:
    """A line a subject; none where the app runs on this machine. Nothing is changed, and no cluster is made."""
    cluster = document.cluster
    if isinstance(cluster, LocalCluster):
        return []
    kubeconfig = None if isinstance(cluster, CommandCluster) else cluster.kubeconfig
    if isinstance(cluster, CommandCluster):
        provider = CommandProvider(store, cluster)
        try:
            if not provider.there():
                text = f"{cluster.name} is not there: the run makes it with {cluster.commands}; what it lets us do is seen then"
                return [Check("cluster", "ok", text)]
        except TidegaugeError as error:
            return [Check("cluster", "fail", error.message, error.next_step or "")]
        kubeconfig = str(provider.place.kubeconfig)
    found = reach(KubeAccess(kubeconfig, cluster.context, auth_wait_s=0.0))
    return [_check(found)] if isinstance(found, Finding) else _looks(found, document, cluster)


def _looks(kube: Kube, document: Experiment, cluster: KubernetesSettings) -> list[Check]:
    app = app_of(document.app)
    there: list[Check] = []
    wanted: tuple[Mapping[str, Any], ...] = ()
    try:
        wanted = manifests_of(app, Placement(cluster.namespace, "doctor", cluster.allow_load_balancers), kube_version=kube.version())
        require_namespaced(kube, wanted)
    except TidegaugeError as error:
        there.append(Check("manifests", "fail", error.message, error.next_step or ""))
    return [*(_check(one) for one in findings(kube, cluster, wanted)), *there]


def _check(found: Finding) -> Check:
    return Check(found.name, found.state, found.text, found.fix, found.more)
