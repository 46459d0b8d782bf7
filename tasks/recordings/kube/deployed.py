"""An app in a cluster: how it is watched, loaded, broken and taken down."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tidegauge
from tasks.app.config import AppSettings
from tasks.app.kube.placement import Manifest, Placement
from tasks.app.kube.reaching import entrance
from tasks.app.model import App
from tasks.base.clock import Clock
from tasks.base.errors import DocumentError, StorageError
from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.facts import facts
from tasks.cluster.kube.holding import Held
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.provider import Leftover
from tasks.faults.injecting import FaultInjector
from tasks.faults.kube.deciding import FaultPlace
from tasks.faults.kube.injector import ClusterInjector
from tasks.faults.kube.target import Target
from tasks.kube.client import Kube
from tasks.load.config import LoadConfig
from tasks.load.journey import shipped_folders
from tasks.load.kube.api import PodPlace
from tasks.load.kube.run import IMAGE, PodLoad
from tasks.load.runner import LoadRun
from tasks.load.status import Load
from tasks.recordings.finish import keep_outputs
from tasks.recordings.gate import require_smoke
from tasks.recordings.kube.logs import keep_logs
from tasks.recordings.kube.sampling import cluster_sampling
from tasks.recordings.kube.smoke_job import require_smoke_in_cluster
from tasks.recordings.kube.wide import removed
from tasks.telemetry.config import TelemetryConfig
from tasks.telemetry.runner import Collector

TOOLS = IMAGE
"""Has Python: guards and the smoke test run in it as well as the load."""
NODE_HELPER = f"tidegauge.local/fault:{tidegauge.__version__}"
HAND_OVER_S = 30.0
LONGER_S = 1800.0
"""So much longer than is planned a load may go on when nobody ends it."""


@dataclass(slots=True)
class KubeDeployed:
    """See :class:`tasks.recordings.place.Deployed`."""

    kube: Kube
    app: App
    manifests: Sequence[Manifest]
    where: Placement
    provider: KubeProvider
    held: Held
    settings: KubernetesSettings
    state_dir: Path
    clock: Clock
    release: ExitStack
    wide: bool
    planned_s: float = 86_400.0
    _handed_s: float = 0.0

    @property
    def address(self) -> str:
        """Where users come in, from inside the cluster."""
        return entrance(self.app, self.manifests, self.where.namespace).address

    @property
    def injector(self) -> FaultInjector:
        """Acts on the namespace, guarded from inside it."""
        return injector_of(self.kube, self.app, self.settings, self.where, self.state_dir)

    def check(self) -> None:
        """
        Hand a login that was renewed on to the processes that use it.

        Raises:
            LockedError: The namespace was lost to another run.
        """
        self.held.check()
        now_s = self.clock.monotonic_s()
        if now_s - self._handed_s > HAND_OVER_S:
            self._handed_s = now_s
            self.kube.connection(self.login)

    @property
    def login(self) -> Path:
        """Private files with the way to the API server, for processes of ours."""
        return self.state_dir / "login"

    def smoke(self, app: App, load: LoadConfig) -> None:
        """By a pod of the cluster, or straight where load comes from here."""
        if load.place == "here":
            require_smoke(self._outer(load), app)
        else:
            require_smoke_in_cluster(self.kube, self.where, app, self.address, load.image or self.settings.tools_image or TOOLS)

    def sampling(self, telemetry: TelemetryConfig, folder: Path, *, planned_s: float, clock: Clock) -> AbstractContextManager[Collector]:
        """See :func:`tasks.recordings.kube.sampling.cluster_sampling`."""
        self.planned_s = planned_s
        return cluster_sampling(self, telemetry, folder, planned_s=planned_s, clock=clock)

    def load(self, settings: LoadConfig, *, seed: int, out: Path) -> Load:
        """Generators as pods beside the app, or here where the document says so."""
        if settings.place == "here":
            return LoadRun.start(settings, host=self._outer(settings), seed=seed, out=out, folders=shipped_folders())
        place = PodPlace(self.kube, self.where.namespace, self.where.run, at_most_s=self.planned_s + LONGER_S)
        return PodLoad.start(settings, place=place, host=self.address, seed=seed, out=out, folders=shipped_folders())

    def _outer(self, load: LoadConfig) -> str:
        if load.address is None:
            raise DocumentError(
                "load.place is here, and load.address does not say where the app is reached from outside of the cluster",
                next_step="take load.place: pods, or give load.address",
            )
        return load.address

    def facts(self) -> dict[str, Any]:
        """Versions, nodes, and the images that really run."""
        return facts(self.kube, self.where.namespace, self.where.run)

    def keep_outputs(self, folder: Path) -> None:
        """Logs and the fault journal."""
        keep_outputs(folder, self.state_dir)

    def leave(self) -> None:
        """Give the namespace back; its objects stay, and refuse those of other runs."""
        self.release.pop_all()
        self.held.give_back()

    def down(self) -> Sequence[Leftover]:
        """Keep the pods' output, remove everything of the run, give the namespace back."""
        try:
            keep_logs(self.kube, self.where, self.state_dir / "logs")
        except StorageError as error:  # a full disk here is no reason to leave anything there
            self.provider.say(f"the output of the pods is not kept: {error.message}")
        left = removed(self.provider, wide=self.wide)
        self.release.pop_all()  # what it would do is done
        self.held.give_back()
        return left


def injector_of(kube: Kube, app: App, settings: KubernetesSettings, where: Placement, state_dir: Path) -> ClusterInjector:
    """What breaks *app* in *where*; its journal lies in *state_dir*."""
    replicas = 1 if isinstance(app.settings, AppSettings) else None  # manifests say it themselves
    place = FaultPlace(
        namespace=where.namespace,
        run=where.run,
        targets={name: Target(name, replicas, entry=name == app.entry, ready_s=app.readiness_s) for name in app.names},
        guard_image=settings.tools_image or TOOLS,
        node_image=(settings.node_helper_image or NODE_HELPER) if settings.node_helper else None,
        chaos_mesh=settings.chaos_mesh,
    )
    return ClusterInjector(kube, place, state_dir)
