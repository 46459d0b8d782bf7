"""Shops that stay: started by ``up``, found again by their state folders, broken by hand, taken down."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.app.config import AppConfig
from tasks.app.files import app_of
from tasks.base.clock import SystemClock, iso
from tasks.base.errors import Cancelled, DocumentError, LeftBehindError, TidegaugeError
from tasks.base.files import read_json, write_json
from tasks.base.progress import Report
from tasks.base.stopping import sheltered
from tasks.cluster.config import ClusterConfig, LocalCluster
from tasks.cluster.local import LocalHandle
from tasks.cluster.local import leftovers as cluster_leftovers
from tasks.cluster.local import take_down as cluster_take_down
from tasks.cluster.remains import supervisor_of
from tasks.faults.catalogue import nearest
from tasks.faults.injecting import ActiveFaultView, FaultInjector, LocalInjector
from tasks.faults.injector import FaultReceipt, open_faults, revert_all
from tasks.faults.journal import Journal
from tasks.faults.preflight import FaultRequest
from tasks.recordings.deployment import LocalPlace, forget, state_folder
from tasks.recordings.kube.noted import Noted
from tasks.recordings.place import Place
from tasks.telemetry.config import TelemetryConfig

if TYPE_CHECKING:
    from tasks.recordings.kube.standing import ClusterStanding

FACTS = "shop.json"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """A shop's state folder and what is known of it."""

    name: str
    state_dir: Path
    address: str | None
    """Where users come in; None for the shop of a recording that died."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "state_dir": str(self.state_dir)}

    @property
    def recording(self) -> bool:
        """Whether it belongs to a recording that is under way."""
        noted = Noted.read(self.state_dir)
        return self.address is None and (supervisor_of(self.state_dir) is not None if noted is None else noted.looked_after)

    def inject(
        self,
        kind: str,
        target: str,
        duration_s: float,
        intensity: float | None,
        *,
        placebo: bool,
        wait: bool,
        say: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """
        Inject one fault; the receipt as a JSON object with times in ISO 8601.

        Raises:
            Cancelled: A signal came while it was waited for; the fault is reverted, as *say* was told.
            PreflightError: It was refused before anything was touched.
            FaultActiveError: It could not be verified that the fault is over.
        """
        injector = injector_of(self.state_dir, say)
        kinds = injector.kinds()
        if kind not in kinds:
            raise DocumentError(f"there is no fault kind {kind!r} here{nearest(kind, kinds)}", next_step="tidegauge faults list")
        strength = kinds[kind].default_intensity if intensity is None else intensity
        name = f"{kind.replace('_', '-')}-{secrets.token_hex(3)}"
        request = FaultRequest(id=name, kind=kind, target=target, intensity=strength, duration_s=duration_s, placebo=placebo)
        try:
            fault = injector.inject(request)
            if wait:
                return _with_times(asdict(_waited(fault)))
        except Cancelled:
            if (entry := Journal(self.state_dir).entry(name)) is not None and not entry.open:
                say(f"{name}: {kind} on {target} is reverted and verified")
            raise
        entry = fault.entry()
        facts = {
            "acknowledged": entry.wall_s("acknowledged"),
            "requested": entry.wall_s("planned"),
            "revert_requested": None,
            "reverted": None,
        }
        return _with_times({**asdict(request), **facts, "verified": False})


def _waited(fault: ActiveFaultView) -> FaultReceipt:
    try:
        return fault.wait()
    except BaseException:
        with sheltered():
            fault.revert()
        raise


def _with_times(receipt: dict[str, Any]) -> dict[str, Any]:
    times = ("requested", "acknowledged", "revert_requested", "reverted")
    return {name: iso(value) if name in times else value for name, value in receipt.items()}


def injector_of(state_dir: Path, say: Say = lambda _: None) -> FaultInjector:
    """
    What breaks the shop in *state_dir*; *say* is told when somebody has to log in.

    Raises:
        PreflightError: It does not run, or its cluster cannot be reached.
    """
    there = in_cluster(state_dir, say)
    return LocalInjector(LocalHandle.attach(state_dir)) if there is None else there.injector()


def start_standing(root: Path, app: AppConfig, cluster: ClusterConfig, *, ttl_s: float | None, report: Report) -> Standing:
    """
    Start the app so that it outlives this process.

    Raises:
        PreflightError: It did not get ready; nothing is left running.
    """
    name = f"shop-{secrets.token_hex(3)}"
    state_dir = state_folder(root, name)
    try:
        deployed = _standing_place(root, app, cluster, ttl_s, name).deploy(app_of(app), state_dir, owned=False, report=report)
    except LeftBehindError:
        raise  # what is left is found by the folder
    except BaseException:
        forget(state_dir)
        raise
    deployed.leave()
    write_json(state_dir / FACTS, {"address": deployed.address})
    return Standing(name, state_dir, deployed.address)


def _standing_place(root: Path, app: AppConfig, cluster: ClusterConfig, ttl_s: float | None, name: str) -> Place:
    if isinstance(cluster, LocalCluster):
        return LocalPlace(cluster if ttl_s is None else cluster.model_copy(update={"ttl_s": ttl_s}))
    if ttl_s is not None:
        raise DocumentError(
            "--ttl is for shops on this machine: nothing in a cluster looks after its end", next_step="the same command without --ttl"
        )
    from tasks.recordings.kube.place import KubePlace

    return KubePlace(cluster, app, TelemetryConfig(), root, name, SystemClock())


def standings(root: Path) -> list[Standing]:
    """Every shop of which there is a state folder, by name."""
    folder = root / "live"
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        facts = read_json(path / FACTS) if (path / FACTS).is_file() else {}
        found.append(Standing(path.name, path, facts.get("address")))
    return found


def the_one(root: Path, name: str | None) -> Standing:
    """
    The shop called *name*, or the only one.

    Raises:
        DocumentError: There is none, or several and no name was given.
    """
    found = [one for one in standings(root) if name is None or one.name == name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DocumentError(f"no shop {'is up' if name is None else f'called {name} is there'}", next_step="tidegauge up configs/demo.yaml")
    raise DocumentError(f"several shops are up: {', '.join(one.name for one in found)}", next_step="name one with --run")


def revert_faults(shop: Standing, say: Say = lambda _: None) -> list[str]:
    """
    End every active fault of *shop*; their ids. *say* is told when somebody has to log in.

    Raises:
        FaultActiveError: One could not be verified to be over.
    """
    if (there := in_cluster(shop.state_dir, say)) is not None:
        return there.revert_faults()
    return [entry.id for entry in revert_all(shop.state_dir)]


def take_down(shop: Standing, say: Say = lambda _: None) -> Sequence[str]:
    """Revert its faults, end its processes or remove its objects, forget its folder; what is still there, a sentence each."""
    if (there := in_cluster(shop.state_dir, say)) is not None:
        left = there.take_down()
        if not left:
            forget(shop.state_dir)
        return left
    problems = []
    try:
        revert_faults(shop)
    except TidegaugeError as error:
        problems.append(error.message)
    left = [f"{one.name} ({one.identity}): {one.why}" for one in cluster_take_down(shop.state_dir)]
    if not left and not open_faults(shop.state_dir):
        forget(shop.state_dir)
        return []
    return [*problems, *left]


def leftovers(shop: Standing) -> list[str]:
    """What of *shop* runs though nobody looks after it."""
    if (there := in_cluster(shop.state_dir)) is not None:
        return there.leftovers()
    return [f"{one.name} ({one.identity}): {one.why}" for one in cluster_leftovers(shop.state_dir)]


def in_cluster(state_dir: Path, say: Say = lambda _: None) -> ClusterStanding | None:
    """The deployment of *state_dir*, if it is in a cluster; *say* is told what goes on there, and when somebody has to log in."""
    noted = Noted.read(state_dir)
    if noted is None:
        return None
    from tasks.recordings.kube.standing import ClusterStanding

    return ClusterStanding(noted, state_dir, say)
