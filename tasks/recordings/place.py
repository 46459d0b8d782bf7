"""What a recording needs of the place where its app runs, be it this machine or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from tasks.app.model import App
from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.base.progress import Report
from tasks.cluster.config import ClusterConfig, CommandCluster, LocalCluster
from tasks.cluster.provider import Leftover
from tasks.faults.injecting import FaultInjector
from tasks.load.config import LoadConfig
from tasks.load.status import Load
from tasks.recordings.settings import RecordingSettings
from tasks.telemetry.config import TelemetryConfig
from tasks.telemetry.runner import Collector


class Deployed(Protocol):
    """A running app: where users come in, how it is watched, loaded and broken, and how it ends."""

    @property
    def address(self) -> str:
        """Where users come in, as its load sees it."""

    @property
    def injector(self) -> FaultInjector:
        """What breaks it."""

    def check(self) -> None:
        """
        See that it is still ours; called all the time.

        Raises:
            LockedError: Another run has taken the place.
        """

    def smoke(self, app: App, load: LoadConfig) -> None:
        """
        Browse, fill a basket, order: once, before the load.

        Raises:
            PreflightError: A step failed.
        """

    def sampling(self, telemetry: TelemetryConfig, folder: Path, *, planned_s: float, clock: Clock) -> AbstractContextManager[Collector]:
        """
        A started source of samples that writes into *folder*.

        Raises:
            PreflightError: It cannot give what is planned.
        """

    def load(self, settings: LoadConfig, *, seed: int, out: Path) -> Load:
        """
        The load, begun; whoever asks for it stops it.

        Raises:
            PreflightError: The generator did not start.
        """

    def facts(self) -> dict[str, Any]:
        """What runs there, by service: for the recording's record."""

    def keep_outputs(self, folder: Path) -> None:
        """Move the services' output and the deployment's events into the recording."""

    def leave(self) -> None:
        """Let it stay as it is when this process ends, looked after by nobody."""

    def down(self) -> Sequence[Leftover]:
        """End everything but guards and say what is still there; does nothing the second time."""


class Place(Protocol):
    """Where apps can be deployed."""

    def deploy(self, app: App, state_dir: Path, *, owned: bool, report: Report) -> Deployed:
        """
        Start *app*, described in *state_dir*, and wait until every service answers.

        Args:
            app: What to run.
            state_dir: An empty folder of its own.
            owned: Everything ends with this process (guards excepted); otherwise it stays until ``down``.
            report: Told how the start goes.

        Raises:
            PreflightError: It cannot be had here; nothing is left running.
        """


def released(cluster: ClusterConfig, root: Path, run: str, say: Callable[[str], None]) -> Iterator[str]:
    """Remove the cluster that *run* had made, if it had one made; what is still there of it, a sentence each."""
    if not isinstance(cluster, CommandCluster):
        return
    from tasks.cluster.command.provider import CommandProvider

    try:
        left = CommandProvider(root, cluster, say=say).release(run)
    except TidegaugeError as error:
        yield f"the cluster {cluster.name} may still be there: {error.message}; next: tidegauge down --all"
        return
    for one in left:
        yield f"{one.name} {one.why}; next: tidegauge down --all"


def place_of(settings: RecordingSettings, root: Path, run: str) -> Place:
    """
    The place that the section ``cluster`` of *settings* names.

    Args:
        settings: What is recorded.
        root: The store.
        run: The run that it is for.
    """
    if isinstance(settings.cluster, LocalCluster):
        from tasks.recordings.deployment import LocalPlace

        return LocalPlace(settings.cluster)
    from tasks.recordings.kube.place import kube_place

    return kube_place(settings, root, run)
