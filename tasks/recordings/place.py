"""What a recording needs of the place where its app runs, be it this machine or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from tasks.app.model import App
from tasks.base.clock import Clock
from tasks.base.progress import Report
from tasks.cluster.config import ClusterConfig
from tasks.cluster.provider import Leftover
from tasks.faults.surface import FaultSurface
from tasks.load.config import LoadConfig
from tasks.load.runner import LoadRun
from tasks.telemetry.config import TelemetryConfig
from tasks.telemetry.runner import Collector


class Deployed(Protocol):
    """A running app: where users come in, how it is watched, loaded and broken, and how it ends."""

    @property
    def address(self) -> str:
        """Where users come in, as its load sees it."""

    @property
    def surface(self) -> FaultSurface:
        """What faults act on."""

    def smoke(self, app: App) -> None:
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

    def load(self, settings: LoadConfig, *, seed: int, out: Path) -> LoadRun:
        """
        The load, begun; whoever asks for it stops it.

        Raises:
            PreflightError: The generator did not start.
        """

    def facts(self) -> dict[str, Any]:
        """What runs there, by service: for the recording's record."""

    def keep_outputs(self, folder: Path) -> None:
        """Move the services' output and the deployment's events into the recording."""

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


def place_of(cluster: ClusterConfig) -> Place:
    """The place that a document's section ``cluster`` names."""
    from tasks.recordings.deployment import LocalPlace

    return LocalPlace(cluster)
