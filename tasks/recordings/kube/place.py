"""Putting an app into a cluster: the lease, the objects, and the wait until every pod is ready."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.app.config import AppConfig
from tasks.app.kube.placement import Placement
from tasks.app.kube.scope import manifests_there
from tasks.app.model import App
from tasks.app.rollout import Rollout
from tasks.base.clock import Clock, SystemClock
from tasks.base.process import identify
from tasks.base.progress import Progress, Report
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster, KubeconfigCluster, LocalCluster
from tasks.cluster.kube.holding import holding
from tasks.cluster.kube.kinds import further_kinds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.recordings.kube.deployed import KubeDeployed
from tasks.recordings.kube.noted import Noted
from tasks.recordings.kube.rights import namespaces_of
from tasks.recordings.settings import RecordingSettings
from tasks.telemetry.config import PrometheusSource, TelemetryConfig

_NOT_IN_LABELS = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class KubePlace:
    """A namespace of a Kubernetes."""

    cluster: KubeconfigCluster | CommandCluster
    app: AppConfig
    telemetry: TelemetryConfig
    root: Path
    """The store: what commands made is noted there."""
    run: str
    """The run that a cluster is made for, where commands make it."""
    clock: Clock

    def deploy(self, app: App, state_dir: Path, *, owned: bool, report: Report) -> KubeDeployed:
        """
        Apply *app* and wait until every pod is ready.

        Whoever dies leaves it there: the note in *state_dir* says what to remove, and ``tidegauge down`` does it.

        Raises:
            PreflightError: The cluster cannot be reached, refuses something, or a pod does not get ready; nothing is left.
            LockedError: Another run holds the namespace.
            CredentialsError: The login ended, and nobody logged in again.
        """

        def say(text: str) -> None:
            report(Progress("deploy", text))

        def ask(text: str) -> None:
            report(Progress("cluster", text, lasting=True))

        noted = Noted(
            label=label_of(state_dir.name),
            cluster=self.cluster,
            namespaces=self.namespaces,
            root=str(self.root),
            run=self.run,
            app=self.app,
            wide=self._wide,
            process=identify(os.getpid()) if owned else None,
        )
        noted.write(state_dir)
        kube = connected(noted, self.clock, ask)
        where = Placement(noted.namespaces[0], noted.label, self.cluster.allow_load_balancers)
        manifests = manifests_there(kube, app, where)
        noted = replace(noted, kinds=further_kinds(manifests))
        noted.write(state_dir)
        bounds = noted.bounds
        provider = KubeProvider(kube, bounds, patience_s=self.cluster.teardown_timeout_s, clock=self.clock, say=say)
        with ExitStack() as undo:
            provider.make_namespaces()
            undo.callback(provider.undo)
            held = undo.enter_context(holding(kube, bounds.namespaces[0], bounds.run, duration_s=self.cluster.lease_s, say=say))
            for change in provider.plan(manifests):
                say(f"{change.action} {change.name}")
                provider.apply(change)
            took_s = Rollout(kube, where, manifests, self._patience_s(app), report, self.clock).wait()
            say(f"every pod is ready after {took_s:.1f} s")
            release = undo.pop_all()
        return KubeDeployed(
            kube=kube,
            app=app,
            manifests=manifests,
            where=where,
            provider=provider,
            held=held,
            settings=self.cluster,
            state_dir=state_dir,
            clock=self.clock,
            release=release,
            wide=noted.wide,
        )

    def _patience_s(self, app: App) -> float:
        """An app that needs minutes by its own plan gets them, whatever the document says."""
        return max(self.cluster.ready_timeout_s, 2 * app.readiness_s)

    @property
    def _wide(self) -> bool:
        """Whether a Prometheus is put there that asks the kubelets: its rights are the whole cluster's."""
        source = self.telemetry.source
        return isinstance(source, PrometheusSource) and source.deploy is not None and source.deploy.cadvisor != "none"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The only ones that are written to, the app's first."""
        return namespaces_of(self.cluster, self.telemetry)


def connected(noted: Noted, clock: Clock, say: Callable[[str], None]) -> Kube:
    """
    The way to the cluster of *noted*, which commands make where it is not there.

    Raises:
        PreflightError: It cannot be reached, or not made.
    """
    cluster = noted.cluster
    if isinstance(cluster, KubeconfigCluster):
        return _connected(cluster, cluster.kubeconfig, clock, say)
    return _connected(cluster, str(CommandProvider(Path(noted.root), cluster, clock=clock, say=say).ensure(noted.run)), clock, say)


def reached(noted: Noted, clock: Clock, say: Callable[[str], None]) -> Kube | None:
    """
    The way to the cluster of *noted* as it stands; None: commands have made it, and it is gone. Nothing is made.

    Raises:
        PreflightError: It cannot be reached, or it cannot be told whether it is there.
    """
    cluster = noted.cluster
    if isinstance(cluster, KubeconfigCluster):
        return _connected(cluster, cluster.kubeconfig, clock, say)
    path = CommandProvider(Path(noted.root), cluster, clock=clock, say=say).found()
    return None if path is None else _connected(cluster, str(path), clock, say)


def _connected(cluster: KubeconfigCluster | CommandCluster, kubeconfig: str | None, clock: Clock, say: Callable[[str], None]) -> Kube:
    access = KubeAccess(kubeconfig, cluster.context, cluster.auth_wait_s, cluster.insecure)
    return Kube.connect(access, clock=clock, say=say)


def label_of(name: str) -> str:
    """*name* as the value of a label."""
    return _NOT_IN_LABELS.sub("-", name.lower()).strip("-")[:63].rstrip("-")


def kube_place(settings: RecordingSettings, root: Path, run: str) -> KubePlace:
    """The place of *settings*, with the clock of this machine."""
    if isinstance(settings.cluster, LocalCluster):
        raise TypeError("this machine is no cluster")
    return KubePlace(settings.cluster, settings.app, settings.telemetry, root, run, SystemClock())
