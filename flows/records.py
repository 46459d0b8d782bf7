"""The record of a run while it goes on and after: one JSON object, written after each stage."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tasks.artifacts.refs import Ref, new_run_id
from tasks.artifacts.runs import FORMAT, Runs, unclosed
from tasks.artifacts.store import Store
from tasks.base.clock import SystemClock, iso
from tasks.base.errors import DocumentError, StorageError
from tasks.base.files import read_json
from tasks.base.process import identify


class StageResult(Protocol):
    """What became of a stage: :class:`tasks.artifacts.jobs.Result`, or whatever has the same."""

    @property
    def stage(self) -> str:
        """Its name."""

    @property
    def ref(self) -> str:
        """Its artifact."""

    @property
    def outcome(self) -> str:
        """``ran`` or ``cached``."""

    @property
    def why(self) -> str:
        """Why it ran, or why it did not have to."""

    @property
    def seconds(self) -> float:
        """How long it took now."""


PUBLIC = ("run", "parent", "status", "report", "profile", "recordings", "faults", "detectors", "ranking", "stages", "prefect")
"""Keys of ``run --json`` and ``runs show --json``."""


@dataclass(slots=True)
class RunRecord:
    """A run's record and where it is kept."""

    runs: Runs
    body: dict[str, Any]

    @classmethod
    def begin(
        cls,
        store: Store,
        *,
        name: str,
        document: Mapping[str, Any],
        profile: str,
        extent: str,
        parent: str | None,
        prefect: Mapping[str, Any],
    ) -> "RunRecord":
        """A new run, written as ``running`` with the process that does it."""
        clock = SystemClock()
        me = identify(os.getpid())
        body = {
            "format": FORMAT,
            "run": new_run_id(clock.wall_s()),
            "parent": parent,
            "status": "running",
            "name": name,
            "started": iso(clock.wall_s()),
            "ended": None,
            "process": None if me is None else {"pid": me.pid, "start_ticks": me.start_ticks},
            "argv": sys.argv[1:],
            "document": dict(document),
            "profile": profile,
            "extent": extent,
            "report": None,
            "recordings": [],
            "faults": [],
            "detectors": [],
            "ranking": [],
            "stages": [],
            "artifacts": {},
            "prefect": dict(prefect),
            "exit_code": None,
            "error": None,
        }
        record = cls(Runs(store), body)
        record.write()
        return record

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.body["run"])

    def write(self) -> None:
        """Put it on disk."""
        self.runs.write(self.body)

    def add(self, result: StageResult) -> None:
        """Note what became of a stage."""
        self.body["stages"].append(
            {"name": result.stage, "outcome": result.outcome, "why": result.why, "seconds": round(result.seconds, 3)}
        )
        self.body["artifacts"][artifact_name(result.stage)] = result.ref
        self.write()

    def end(self, status: str, exit_code: int, error: str | None = None, **numbers: Any) -> None:
        """Close the record."""
        self.body.update(numbers, status=status, exit_code=exit_code, error=error, ended=iso(SystemClock().wall_s()))
        self.write()


def artifact_name(stage: str) -> str:
    """Under which name a stage's artifact stands in a record: ``evaluate`` makes the ``evaluation``."""
    return {"evaluate": "evaluation", "rank": "ranking"}.get(stage, stage)


def require_document(record: Mapping[str, Any]) -> None:
    """
    Refuse the record of a run that only imported something: nothing says how it would be scored.

    Raises:
        DocumentError: With the command that does.
    """
    if record["extent"] == "import":
        raise DocumentError(
            f"run {record['run']} is an import: one recording, and nothing that says how to score it",
            next_step=f"tidegauge evaluate --imports TRAINING CALIBRATION {record['run']}, each by its run or its name",
        )


def public(record: Mapping[str, Any]) -> dict[str, Any]:
    """The object of ``run --json`` and ``runs show --json``."""
    return {name: record[name] for name in PUBLIC}


def numbers_of(store: Store, artifacts: Mapping[str, str], roles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The tables of a run, read from its artifacts; *roles* of recordings by name, where they are not those that were recorded."""
    found: dict[str, Any] = {"recordings": [], "faults": [], "detectors": [], "ranking": [], "report": None, "notes": [], "shortfall": None}
    for name, text in artifacts.items():
        if name.startswith("record:"):
            facts = _known_here(name, roles or {}, read_json(store.open(Ref.parse(text)).file("recording.json")))
            found["recordings"].append(_recording(facts, text))
            if facts["role"] == "faults":
                found["faults"] += [_fault(trial) for trial in read_json(store.open(Ref.parse(text)).file("faults.json"))]
    if "evaluation" in artifacts:
        evaluation = read_json(store.open(Ref.parse(artifacts["evaluation"])).file("evaluation.json"))
        found |= {name: evaluation[name] for name in ("detectors", "notes", "shortfall")}
    if "ranking" in artifacts:
        ranking = read_json(store.open(Ref.parse(artifacts["ranking"])).file("ranking.json"))
        found |= {"ranking": ranking["ranking"], "notes": [*found["notes"], *ranking.get("notes", ())]}
    if "report" in artifacts:
        found["report"] = str(store.open(Ref.parse(artifacts["report"])).file("report.html"))
    found["table"] = table_of(found) if found["detectors"] else None
    return found


def table_of(run: Mapping[str, Any], *, colour: bool = False) -> str:
    """The detector table of a run object as text; kept in the record, since drawing it takes longer than all the rest of an answer."""
    from io import StringIO

    from rich.console import Console

    from tasks.reporting.tables import detector_table

    out = StringIO()
    Console(file=out, width=112, force_terminal=colour, no_color=not colour, highlight=False).print(detector_table(run, width=110))
    return out.getvalue().rstrip()


def _known_here(stage: str, roles: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """*facts* of a recording with the name and the role that it has in a run."""
    name = stage.partition(":")[2]
    return {**facts, "name": name, "role": roles.get(name, facts["role"])}


def _recording(facts: Mapping[str, Any], ref: str) -> dict[str, Any]:
    names = ("name", "role", "samples", "series", "gaps", "degraded_s")
    return {"id": ref.partition("/")[2], **{name: facts[name] for name in names}}


def _fault(trial: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "kind", "target", "intensity", "placebo", "outcome", "windows")
    return {**{name: trial[name] for name in names}, "benign": trial.get("benign", False)}


def complete(store: Store, artifacts: Mapping[str, str]) -> bool:
    """Whether every recording of a run is complete."""
    refs = [Ref.parse(text) for name, text in artifacts.items() if name.startswith("record:")]
    return all(read_json(store.open(ref).file("recording.json"))["status"] == "complete" for ref in refs)


def reconcile(store: Store, extent: str | None = None) -> list[tuple[dict[str, Any], str]]:
    """Close the records of runs (of *extent*; None: of all) whose process is gone; each with a sentence."""
    closed = []
    runs = Runs(store)
    for run in runs.ids():
        try:
            record = runs.look(run)
        except StorageError:
            continue  # `runs list` shows it as damaged
        if not unclosed(record) or extent not in (None, record["extent"]):
            continue
        RunRecord(runs, record).end(record["status"], record["exit_code"], record["error"])
        closed.append((record, f"run {run} is marked failed: {record['error']}"))
    return closed
