"""Starting whatever the document names as the source of samples for an app in a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.app.kube.placement import Placement
from tasks.app.rollout import Rollout
from tasks.base.clock import Clock
from tasks.base.errors import DocumentError
from tasks.base.progress import silent
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.labels import run_labels
from tasks.recordings.kube.wide import is_wide
from tasks.recordings.sampling import require_server, running
from tasks.telemetry.config import DeployedPrometheus, KubeletSource, PrometheusSource, TelemetryConfig
from tasks.telemetry.kube.deployment import Placed, manifests
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.plan import CollectorPlan
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.runner import Collector

if TYPE_CHECKING:
    from tasks.recordings.kube.deployed import KubeDeployed


@contextmanager
def cluster_sampling(
    deployed: KubeDeployed, telemetry: TelemetryConfig, folder: Path, *, planned_s: float, clock: Clock
) -> Iterator[Collector]:
    """
    A started source that writes into *folder*; stopped, with everything fetched, at the end.

    The API server's address and login stand in private files of the deployment's folder, of which the collector knows the names.

    Raises:
        DocumentError: The source is one for processes of this machine.
        PreflightError: The server is not there, keeps too little, or its clock is off; or nothing comes.
    """
    source, connection = telemetry.source, deployed.kube.connection(deployed.login)
    plan: CollectorPlan
    if isinstance(source, KubeletSource):
        access, namespace = Access.of(connection), deployed.where.namespace
        plan = KubeletPlan.of(source, telemetry.flush_s, access, namespace, clock.wall_s(), folder)
    elif isinstance(source, PrometheusSource):
        if source.deploy is not None:
            placed = _placed(source, deployed.where, planned_s)
            _put(deployed, source.deploy, placed, clock)
        access = source.access_by(connection)
        require_server(source, planned_s, access)
        plan = TailPlan.of(source, telemetry.flush_s, clock.wall_s(), folder, access)
    else:
        raise DocumentError(
            "telemetry.sources[0].kind: scrape asks processes of this machine", next_step="take kind: kubelet, or kind: prometheus"
        )
    with running(Collector.start(plan)) as collector:
        yield collector


def _placed(source: PrometheusSource, where: Placement, planned_s: float) -> Placed:
    return Placed(
        namespace=where.namespace,
        interval_s=source.interval_s,
        planned_s=planned_s,
        labels=run_labels(where.run, "telemetry"),
        run=where.run,
    )


def _put(deployed: KubeDeployed, wanted: DeployedPrometheus, placed: Placed, clock: Clock) -> None:
    """Have a Prometheus of our own in the cluster; it goes with the rest of the run."""
    made = manifests(wanted, placed)
    for one in made:
        if is_wide(one):
            deployed.kube.apply(one)
    provider = KubeProvider(deployed.kube, deployed.provider.bounds, part="telemetry", clock=clock, say=deployed.provider.say)
    for change in provider.plan([one for one in made if not is_wide(one)]):
        provider.apply(change)
    where = Placement(wanted.namespace, deployed.where.run)
    Rollout(deployed.kube, where, made, deployed.settings.ready_timeout_s, silent, clock).wait()
