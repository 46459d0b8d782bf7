"""Run records: ``runs/ID.json``, one experiment's artifacts and numbers together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.artifacts.refs import RUN_ID, Ref, checked_run_id
from tasks.artifacts.store import Store, is_sealed, sealed
from tasks.base.errors import DocumentError, StorageError
from tasks.base.files import read_json, write_json
from tasks.base.process import ProcessId

FORMAT = "run/1"
EVALUATED = ("complete", "incomplete")


@dataclass(frozen=True, slots=True)
class Runs:
    """The run records of a store."""

    store: Store

    @property
    def folder(self) -> Path:
        """Where the records are."""
        return self.store.root / "runs"

    def path(self, run: str) -> Path:
        """
        The record's file; not necessarily there.

        Raises:
            DocumentError: *run* is not an id, or a link stands in its place.
        """
        path = self.folder / f"{checked_run_id(run)}.json"
        if path.is_symlink() or self.folder.is_symlink() or path.resolve().parent != self.folder.resolve():
            raise DocumentError(f"the record of run {run} lies outside the store", next_step="tidegauge runs list")
        return path

    def write(self, record: Mapping[str, Any]) -> None:
        """Put or replace the record of ``record["run"]``, sealed with a checksum of its own."""
        write_json(self.path(str(record["run"])), sealed(record))

    def read(self, run: str) -> dict[str, Any]:
        """
        The record of *run* (an id or ``latest``).

        Raises:
            DocumentError: There is no such run.
            StorageError: The record is not what was written.
        """
        path = self.path(self.resolve(run))
        if not path.is_file():
            raise DocumentError(f"there is no run {run} in {self.store.root}", next_step="tidegauge runs list")
        record = read_json(path)
        if not isinstance(record, dict) or not is_sealed(record) or record.get("run") != path.stem:
            raise StorageError(f"{path} is not what was written", next_step=f"tidegauge runs rm {path.stem}")
        return record

    def look(self, run: str) -> dict[str, Any]:
        """
        The record of *run* as things stand: one that says running though its process is gone is told as failed. Nothing is written.

        Raises:
            DocumentError: There is no such run.
            StorageError: The record is not what was written.
        """
        record = self.read(run)
        if _abandoned(record):
            record = self.read(record["run"])  # it may have ended in order between the two looks; now its process writes no more
        return _told_failed(record) if _abandoned(record) else record

    def resolve(self, run: str) -> str:
        """
        The id that *run* stands for: itself; for ``latest`` the newest run with an evaluation, or else the newest that finished.

        Raises:
            DocumentError: It is no id, or no run has finished yet.
        """
        if run != "latest":
            return checked_run_id(run)
        finished = None
        for name in reversed(self.ids()):
            try:
                record = self.read(name)
            except StorageError:
                continue
            if record["status"] in EVALUATED and "evaluation" in record["artifacts"]:
                return name
            if record["status"] in EVALUATED and finished is None:
                finished = name
        if finished is None:
            raise DocumentError(f"no run in {self.store.root} has finished yet", next_step="tidegauge run configs/demo.yaml")
        return finished

    def ids(self) -> tuple[str, ...]:
        """All ids, oldest first."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.stem for path in self.folder.glob("*.json") if RUN_ID.fullmatch(path.stem)))

    def remove(self, run: str) -> None:
        """Forget the record; artifacts stay until :func:`tasks.artifacts.collect.collect` finds nobody needs them."""
        path = self.path(run)
        if not path.is_file():
            raise DocumentError(f"there is no run {run} in {self.store.root}", next_step="tidegauge runs list")
        path.unlink()

    def references(self) -> Iterator[tuple[str, Ref]]:
        """Every (run id, artifact) of every readable record."""
        for run in self.ids():
            for text in self.read(run)["artifacts"].values():
                yield run, Ref.parse(text)


def unclosed(record: Mapping[str, Any]) -> bool:
    """Whether :meth:`Runs.look` found out that *record* is that of a dead run: nobody has written its end yet."""
    return record["status"] == "failed" and record["ended"] is None


def _abandoned(record: Mapping[str, Any]) -> bool:
    """Whether the process of *record* is gone, though it says running; by pid and start time, so that no other is taken for it."""
    process = record["process"]
    return record["status"] == "running" and not (process and ProcessId(**process).alive())


def _told_failed(record: Mapping[str, Any]) -> dict[str, Any]:
    """*record* with how it ended and what is left of it; when it ended is not known."""
    done = ", ".join(stage["name"] for stage in record["stages"]) or "nothing"
    return {**record, "status": "failed", "exit_code": 1, "error": f"its process ended without a word; finished and kept: {done}"}
