"""What a deployment in a cluster leaves on this machine, so that it is found and removed whatever became of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from tasks.app.config import AppConfig
from tasks.base.files import canonical_json, read_json, write_json
from tasks.base.process import ProcessId
from tasks.cluster.config import CommandCluster, KubeconfigCluster
from tasks.cluster.kube.kinds import Kind
from tasks.cluster.kube.manifests import Bounds

FILE = "cluster.json"
_APP: TypeAdapter[AppConfig] = TypeAdapter(AppConfig)
_CLUSTER: TypeAdapter[KubeconfigCluster | CommandCluster] = TypeAdapter(KubeconfigCluster | CommandCluster)


@dataclass(frozen=True, slots=True)
class Noted:
    """Which objects of which cluster are this deployment's; nothing secret is in it."""

    label: str
    """Value of the run label on everything that it made."""
    cluster: KubeconfigCluster | CommandCluster
    namespaces: tuple[str, ...]
    root: str
    """The store."""
    run: str
    """The run that it belongs to."""
    app: AppConfig
    """What runs there."""
    wide: bool
    """Whether some of its objects belong to the whole cluster."""
    process: ProcessId | None
    """Who looks after it; None: nobody, it is to stay until ``down``."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of its objects that are in no table of ours."""

    @property
    def looked_after(self) -> bool:
        """Whether a recording is under way there."""
        return self.process is not None and self.process.alive()

    @property
    def bounds(self) -> Bounds:
        """Where it may write."""
        cluster = self.cluster
        return Bounds(self.label, self.namespaces, cluster.allow_load_balancers, cluster.create_namespace, self.kinds)

    def write(self, state_dir: Path) -> None:
        """Before the first object is made."""
        value: dict[str, Any] = {"label": self.label, "namespaces": list(self.namespaces), "root": self.root, "run": self.run}
        value |= {"wide": self.wide, "kinds": [asdict(kind) for kind in self.kinds]}
        process = None if self.process is None else {"pid": self.process.pid, "start_ticks": self.process.start_ticks}
        sections = {"cluster": self.cluster.model_dump(mode="json"), "app": self.app.model_dump(mode="json")}
        write_json(state_dir / FILE, {**value, **sections, "process": process})

    @classmethod
    def read(cls, state_dir: Path) -> Self | None:
        """What was noted; None: nothing, it is a deployment on this machine."""
        if not (state_dir / FILE).is_file():
            return None
        value: Mapping[str, Any] = read_json(state_dir / FILE)
        return cls(
            label=str(value["label"]),
            cluster=_CLUSTER.validate_json(canonical_json(value["cluster"])),
            namespaces=tuple(value["namespaces"]),
            root=str(value["root"]),
            run=str(value["run"]),
            app=_APP.validate_json(canonical_json(value["app"])),
            wide=bool(value["wide"]),
            process=None if value["process"] is None else ProcessId(**value["process"]),
            kinds=tuple(Kind(**kind) for kind in value.get("kinds", ())),
        )
