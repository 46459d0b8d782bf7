"""A deployment in a cluster that is found again by its note: broken by hand, reverted, taken down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import FaultActiveError, PreflightError, TidegaugeError
from tasks.cluster.config import CommandCluster
from tasks.cluster.kube.holding import forget as forget_lease
from tasks.cluster.kube.inside import is_gone
from tasks.cluster.kube.lacking import lacks, subject_of
from tasks.cluster.kube.provider import KubeProvider
from tasks.faults.kube.injector import ClusterInjector, gone_all, revert_all
from tasks.kube.client import Kube
from tasks.recordings.kube.deployed import injector_of
from tasks.recordings.kube.noted import Noted
from tasks.recordings.kube.place import reached
from tasks.recordings.kube.wide import lacking, removed


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """What *noted* says of the deployment in *state_dir*."""

    noted: Noted
    state_dir: Path
    say: Callable[[str], None] = lambda _: None
    clock: Clock = field(default_factory=SystemClock)

    def injector(self) -> ClusterInjector:
        """
        What breaks it.

        Raises:
            PreflightError: The cluster cannot be reached, or is not there any more.
        """
        kube = self._kube()
        if kube is None:
            raise PreflightError(f"{self._gone} is not there any more", next_step="tidegauge down --all")
        where = Placement(self.noted.namespaces[0], self.noted.label, self.noted.cluster.allow_load_balancers)
        return injector_of(kube, app_of(self.noted.app), self.noted.cluster, where, self.state_dir)

    def revert_faults(self) -> list[str]:
        """
        End every active fault; their ids. Where the cluster is gone they are gone with it.

        Raises:
            FaultActiveError: One could not be verified to be over.
        """
        kube = self._kube()
        ended = gone_all(self.state_dir, self._gone, self.clock) if kube is None else revert_all(kube, self.state_dir, self.clock)
        return [entry.id for entry in ended]

    def take_down(self) -> list[str]:
        """
        Revert its faults and remove its objects; what is still there, a sentence each. A cluster that was made for it stays.

        A fault that could not be shown to be over counts as well, unless what it had touched is seen to be gone. Where the login lacks
        rights for what is there, nothing is removed, and the Role that would do is told; faults are ended all the same.
        """
        try:
            kube = self._kube()
            if kube is None:
                gone_all(self.state_dir, self._gone, self.clock)
                return []
            unreverted = self._unreverted(kube)
            patience_s = self.noted.cluster.teardown_timeout_s
            provider = KubeProvider(kube, self.noted.bounds, patience_s=patience_s, clock=self.clock, say=self.say)
            if needed := lacking(provider, wide=self.noted.wide):
                told = lacks(needed, subject_of(kube))
                return [*unreverted, f"{told.text}; nothing was removed\n{told.fix}\n{told.more.rstrip()}"]
            left = [f"{one.name} ({one.identity}): {one.why}" for one in removed(provider, wide=self.noted.wide)]
            if not is_gone(kube, self.noted.namespaces[0]):  # the Lease went with it
                forget_lease(kube, self.noted.namespaces[0], self.noted.label)
            return [*self._unreverted(kube), *left] if unreverted else left
        except TidegaugeError as error:
            return [_told(error)]

    def _unreverted(self, kube: Kube) -> list[str]:
        """End its faults; what could not be shown to be over. Once its objects are gone, so are the faults that had touched them."""
        try:
            revert_all(kube, self.state_dir, self.clock)
        except FaultActiveError as error:
            return [error.message]
        except TidegaugeError as error:  # a right that lacks, a server that does not answer: it does not say that a fault is meant
            return [f"a fault may still be active: {_told(error)}"]
        return []

    def leftovers(self) -> list[str]:
        """What runs there though nobody looks after it, as far as this machine knows: nothing is asked."""
        if self.noted.process is None or self.noted.looked_after:
            return []
        return [f"its recording died; its objects may still be in {', '.join(self.noted.namespaces)} of {self._named()}"]

    def _kube(self) -> Kube | None:
        """The way to it; None: commands had made its cluster, which is gone and has taken everything with it."""
        return reached(self.noted, self.clock, self.say)

    @property
    def _gone(self) -> str:
        return f"the cluster {self._named()}"

    def _named(self) -> str:
        cluster = self.noted.cluster
        return cluster.name if isinstance(cluster, CommandCluster) else cluster.context or "the current context"


def _told(error: TidegaugeError) -> str:
    return error.message if error.next_step is None else f"{error.message}; {error.next_step}"
