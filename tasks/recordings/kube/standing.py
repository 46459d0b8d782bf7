"""A deployment in a cluster that is found again by its note: broken by hand, reverted, taken down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.base.clock import SystemClock
from tasks.base.errors import TidegaugeError
from tasks.cluster.command.provider import CommandProvider
from tasks.cluster.config import CommandCluster
from tasks.cluster.kube.holding import forget as forget_lease
from tasks.cluster.kube.provider import KubeProvider
from tasks.faults.kube.injector import ClusterInjector, revert_all
from tasks.kube.client import Kube
from tasks.recordings.kube.deployed import injector_of
from tasks.recordings.kube.noted import Noted
from tasks.recordings.kube.place import connected
from tasks.recordings.kube.wide import removed


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """What *noted* says of the deployment in *state_dir*."""

    noted: Noted
    state_dir: Path
    say: Callable[[str], None] = lambda _: None

    def injector(self) -> ClusterInjector:
        """
        What breaks it.

        Raises:
            PreflightError: The cluster cannot be reached.
        """
        where = Placement(self.noted.namespaces[0], self.noted.label, self.noted.cluster.allow_load_balancers)
        return injector_of(self._kube(), app_of(self.noted.app), self.noted.cluster, where, self.state_dir)

    def revert_faults(self) -> list[str]:
        """
        End every active fault; their ids.

        Raises:
            FaultActiveError: One could not be verified to be over.
        """
        return [entry.id for entry in revert_all(self._kube(), self.state_dir)]

    def take_down(self) -> list[str]:
        """Revert its faults and remove its objects; what is still there, a sentence each. A cluster that was made for it stays."""
        if not self._cluster_is_there():
            return []
        try:
            kube, problems = self._kube(), []
            try:
                revert_all(kube, self.state_dir)
            except TidegaugeError as error:
                problems.append(error.message)
            provider = KubeProvider(kube, self.noted.bounds, patience_s=self.noted.cluster.teardown_timeout_s, say=self.say)
            left = [f"{one.name} ({one.identity}): {one.why}" for one in removed(provider, wide=self.noted.wide)]
            forget_lease(kube, self.noted.namespaces[0], self.noted.label)
        except TidegaugeError as error:
            return [f"{self.noted.label}: {error.message}"]
        return [*problems, *left] if left else []

    def leftovers(self) -> list[str]:
        """What runs there though nobody looks after it, as far as this machine knows: nothing is asked."""
        if self.noted.process is None or self.noted.looked_after:
            return []
        return [f"its recording died; its objects may still be in {', '.join(self.noted.namespaces)} of {self._named()}"]

    def _kube(self) -> Kube:
        return connected(self.noted, SystemClock(), self.say)

    def _named(self) -> str:
        cluster = self.noted.cluster
        return cluster.name if isinstance(cluster, CommandCluster) else cluster.context or "the current context"

    def _cluster_is_there(self) -> bool:
        """A cluster that commands made and that is gone has taken everything with it."""
        cluster = self.noted.cluster
        return not isinstance(cluster, CommandCluster) or CommandProvider(Path(self.noted.root), cluster, say=self.say).there()
