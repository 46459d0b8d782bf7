"""
What is on disk of a fault in a cluster before it acts, and what is kept as proof that nothing of it is left.

``STATE_DIR/journal/ID.plan.json`` holds what any later process needs to undo it; ``ID.proof.json`` each touched object before and
after, and the differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tasks.base.errors import StorageError
from tasks.base.files import read_json, write_json
from tasks.faults.kube.kind import Moves
from tasks.faults.kube.looking import watched
from tasks.faults.kube.steps import Run, Start, Undo, step_from, step_json
from tasks.faults.kube.target import Found, Object, Target

FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A fault, decided; enough to end it without whoever began it."""

    fault: str
    run: str
    namespace: str
    server: str
    """The API server's address: nothing is undone on another cluster."""
    target: Target
    reverts: tuple[Undo, ...]
    runs: tuple[Run, ...]
    starts: tuple[Mapping[str, Any], ...]
    """The manifests of our pods on nodes."""
    before: tuple[Object, ...]
    """The touched objects as they were."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """How many dead processes lay about in each pod before."""

    @classmethod
    def of(cls, fault: str, run: str, server: str, found: Found, moves: Moves, dead: Mapping[str, int]) -> SavedPlan:
        """From what was decided."""
        runs = tuple(step for step in moves.acts if isinstance(step, Run))
        starts = tuple(step.manifest for step in moves.acts if isinstance(step, Start))
        before = watched(found, pods=moves.same_pods)
        return cls(fault, run, found.namespace, server, found.target, moves.reverts, runs, starts, before, dead)

    @property
    def guarded(self) -> bool:
        """Whether a guard in the cluster undoes it: where something remains that does not end by itself."""
        return bool(self.reverts)

    def write(self, folder: Path) -> None:
        """Put it on disk; nothing may act before (raises StorageError)."""
        value = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("fault", "run", "namespace", "server", "before", "starts", "dead")},
            "target": asdict(self.target),
            "reverts": [step_json(step) for step in self.reverts],
            "runs": [step_json(step) for step in self.runs],
        }
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(folder / f"{self.fault}.plan.json", value)

    @classmethod
    def read(cls, folder: Path, fault: str) -> SavedPlan:
        """
        Read what :meth:`write` wrote.

        Raises:
            StorageError: It is not there, or not whole.
        """
        path = folder / f"{fault}.plan.json"
        value = read_json(path)
        try:
            if value["format"] != FORMAT or value["fault"] != fault:
                raise ValueError("it is another format or fault")
            return cls(
                fault=fault,
                run=str(value["run"]),
                namespace=str(value["namespace"]),
                server=str(value["server"]),
                target=Target(**value["target"]),
                reverts=tuple(step for one in value["reverts"] if not isinstance(step := step_from(one), Run)),
                runs=tuple(step for one in value["runs"] if isinstance(step := step_from(one), Run)),
                starts=tuple(value["starts"]),
                before=tuple(value["before"]),
                dead={str(name): int(number) for name, number in value["dead"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(f"{path} is no plan of a fault: {error}") from error


class Inspected(Protocol):
    """The last look at what a fault has touched."""

    after: list[Object]
    differences: list[str]
    gone: list[str]


def write_proof(folder: Path, plan: SavedPlan, found: Inspected, logs: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Keep what was found in the end; raises StorageError."""
    value = {
        "format": FORMAT,
        "fault": plan.fault,
        "before": list(plan.before),
        "after": found.after,
        "differences": found.differences,
        "gone": found.gone,
        "logs": {name: list(lines) for name, lines in logs.items()},
    }
    write_json(folder / f"{plan.fault}.proof.json", value)
