"""Starting whatever the document names as the source of samples for an app in a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.app.kube.placement import Placement
from tasks.app.rollout import Rollout
from tasks.base.clock import Clock
from tasks.base.errors import DocumentError
from tasks.base.progress import silent
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.labels import run_labels
from tasks.recordings.kube.watching import Accompanied, watched
from tasks.recordings.kube.wide import is_wide
from tasks.recordings.sampling import require_server, running
from tasks.telemetry.config import DeployedPrometheus, KubeletSource, PrometheusSource, TelemetryConfig
from tasks.telemetry.kube.beside import FOLDER
from tasks.telemetry.kube.deployment import Placed, manifests
from tasks.telemetry.kube.plan import KubeletPlan
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

    Beside a Prometheus the cluster is watched: what becomes of pods and workloads, and events, no Prometheus tells.

    The API server's address and login stand in private files of the deployment's folder, of which the collector knows the names.

    Raises:
        DocumentError: The source is one for processes of this machine.
        PreflightError: The server is not there, keeps too little, or its clock is off; or nothing comes.
    """
    source, connection = telemetry.source, deployed.kube.connection(deployed.login)
    api, namespace, flush_s = Access.of(connection), deployed.where.namespace, telemetry.flush_s
    if isinstance(source, KubeletSource):
        with running(Collector.start(KubeletPlan.of(source, flush_s, api, namespace, clock.wall_s(), folder))) as collector:
            yield collector
    elif isinstance(source, PrometheusSource):
        if source.deploy is not None:
            placed = _placed(source, deployed.where, planned_s)
            _put(deployed, source.deploy, placed, clock)
        access = source.access_by(connection)
        require_server(source, planned_s, access)
        begin_s, beside = clock.wall_s(), folder / FOLDER
        tail = replace(TailPlan.of(source, flush_s, begin_s, folder, access), beside=beside)
        watch = KubeletPlan.beside(source, flush_s, api, namespace, begin_s, beside)
        with watched(folder):
            both = Accompanied.start(tail)
            with running(both), running(Collector.start(watch)) as both.watch:
                yield both
    else:
        raise DocumentError(
            "telemetry.sources[0].kind: scrape asks processes of this machine", next_step="take kind: kubelet, or kind: prometheus"
        )


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
