"""Putting an app on this machine: ports, the fault proxy before every service, the supervisor."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.app.model import App
from tasks.app.resolve import fixed_ports, processes, scrape_urls
from tasks.base.clock import Clock
from tasks.base.files import write_json
from tasks.base.process import ProcessSpec
from tasks.base.progress import Progress, Report
from tasks.cluster.config import LocalCluster
from tasks.cluster.local import LocalHandle, allocate_ports
from tasks.cluster.provider import Leftover
from tasks.faults.injecting import FaultInjector, LocalInjector
from tasks.load.config import LoadConfig
from tasks.load.journey import shipped_folders
from tasks.load.runner import LoadRun
from tasks.recordings.finish import keep_outputs
from tasks.recordings.gate import require_smoke
from tasks.recordings.sampling import sampling
from tasks.telemetry.config import TelemetryConfig
from tasks.telemetry.runner import Collector
from tasks.telemetry.targets import Target

PROXY = "fault-proxy"
SOCKET_PATH_LIMIT = 100
"""Unix sockets cannot have longer paths (108 bytes with the file's name and the end)."""

LINKED_FROM = "linked-from"
"""In a folder that lies elsewhere: the place in the store that links to it."""


@dataclass(frozen=True, slots=True)
class LocalDeployed:
    """An app on this machine: its handle, where users come in, and what to scrape."""

    handle: LocalHandle
    address: str
    targets: tuple[Target, ...]

    @property
    def injector(self) -> FaultInjector:
        """Acts on its processes and its fault proxy."""
        return LocalInjector(self.handle)

    def check(self) -> None:
        """Nobody else can take this machine's processes."""

    def smoke(self, app: App, load: LoadConfig) -> None:  # noqa: ARG002 -- the load is on this machine, too
        """See :meth:`tasks.recordings.place.Deployed.smoke`."""
        require_smoke(self.address, app)

    def sampling(self, telemetry: TelemetryConfig, folder: Path, *, planned_s: float, clock: Clock) -> AbstractContextManager[Collector]:
        """See :func:`tasks.recordings.sampling.sampling`."""
        return sampling(telemetry, self.targets, folder, planned_s=planned_s, clock=clock)

    def load(self, settings: LoadConfig, *, seed: int, out: Path) -> LoadRun:
        """The generator as a process of this machine."""
        return LoadRun.start(settings, host=self.address, seed=seed, out=out, folders=shipped_folders())

    def facts(self) -> dict[str, Any]:
        """The main process of each service."""
        mains = {name: one.main for name, one in self.handle.services().items() if one.main is not None}
        return {name: {"pid": main.pid, "start_ticks": main.start_ticks} for name, main in mains.items()}

    def keep_outputs(self, folder: Path) -> None:
        """Logs, events and the fault journal."""
        keep_outputs(folder, self.handle.state_dir)

    def leave(self) -> None:
        """Its supervisor looks after it."""

    def down(self) -> tuple[Leftover, ...]:
        """See :meth:`tasks.cluster.local.LocalHandle.down`."""
        return self.handle.down()


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """This machine."""

    cluster: LocalCluster

    def deploy(self, app: App, state_dir: Path, *, owned: bool, report: Report) -> LocalDeployed:
        """See :func:`deploy`."""
        return deploy(app, self.cluster, state_dir, owned=owned, report=report)


def state_folder(root: Path, name: str) -> Path:
    """A new private folder for a deployment; elsewhere when the path would be too long for a socket."""
    folder = root / "live" / name
    if len(str(folder / "control.sock")) > SOCKET_PATH_LIMIT:
        link = folder
        folder = Path(tempfile.mkdtemp(prefix="tidegauge-"))
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.symlink_to(folder)
        (folder / LINKED_FROM).write_text(str(link))
        return folder
    folder.mkdir(mode=0o700, parents=True)
    return folder


def deploy(app: App, cluster: LocalCluster, state_dir: Path, *, owned: bool, report: Report) -> LocalDeployed:
    """
    Start *app* below *state_dir* and wait until every service answers.

    Args:
        app: What to run.
        cluster: How.
        state_dir: An empty folder of its own.
        owned: Everything ends with this process (guards excepted); otherwise it stays until ``down``.
        report: Told how the start goes.

    Raises:
        PreflightError: A port is taken, or a service never got ready; nothing is left running.
    """
    free = allocate_ports([*(f"own {name}" for name in app.names), *(f"public {name}" for name in app.names), PROXY])
    own = {name: free[f"own {name}"] for name in app.names} | fixed_ports(app)
    public, metrics_port = {name: free[f"public {name}"] for name in app.names}, free[PROXY]
    report(Progress("deploy", f"starting {len(app.names)} services"))
    specs = (
        *processes(app, own, public, state_dir / "data", sys.executable),
        proxy_spec(state_dir, own, public, metrics_port),
    )
    handle = LocalHandle.start(state_dir, specs, entry=app.entry, proxy_ports=public, owner_pipe=owned, settings=cluster)
    try:
        handle.wait_ready(cluster.ready_timeout_s, report=report)
    except BaseException:
        handle.down()
        raise
    address = f"http://127.0.0.1:{public[app.entry]}"
    return LocalDeployed(handle, address, targets(app, own, handle.kubelet_url, metrics_port))


def proxy_spec(state_dir: Path, own: dict[str, int], public: dict[str, int], metrics_port: int) -> ProcessSpec:
    """The fault proxy before all services; writes its configuration into *state_dir*."""
    config = state_dir / "proxy.json"
    services = [{"name": name, "port": public[name], "upstream_port": own[name]} for name in own]
    write_json(config, {"socket": str(state_dir / "proxy.sock"), "metrics_port": metrics_port, "host": "127.0.0.1", "services": services})
    return ProcessSpec(
        name=PROXY,
        argv=(sys.executable, "-m", "tasks.faults.proxy", str(config)),
        port=metrics_port,
        ready_path="/metrics",
        role="harness",
    )


def targets(app: App, own: dict[str, int], kubelet_url: str, metrics_port: int) -> tuple[Target, ...]:
    """Every page to scrape: services, the accounting of containers and node, and the harness's own witnesses."""
    return (
        *(Target(name, "service", url) for name, url in scrape_urls(app, own).items()),
        Target("kubelet", "container", f"{kubelet_url}/metrics/cadvisor"),
        Target("node", "node", f"{kubelet_url}/metrics/node"),
        Target("harness", "harness", f"{kubelet_url}/metrics/harness"),
        Target(PROXY, "harness", f"http://127.0.0.1:{metrics_port}/metrics"),
    )


def forget(state_dir: Path) -> None:
    """Remove the state folder of a deployment that is down, and the link to it where there is one."""
    target = state_dir.resolve()
    noted = target / LINKED_FROM
    for link in (state_dir, *([Path(noted.read_text())] if noted.is_file() else ())):
        if link.is_symlink():
            link.unlink()
    shutil.rmtree(target, ignore_errors=True)
