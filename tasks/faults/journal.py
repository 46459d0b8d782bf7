"""
The fault journal: ``STATE_DIR/journal/faults.jsonl``, one JSON object a line, on disk before anything acts.

A fault in a cluster has no process here; what ends it is then its guard there, and this machine's restart says nothing about it.

Lines are only ever appended, each by one ``write`` and an ``fsync``; several processes (injector, guard, emergency stop)
write to it. Nothing is locked, so that a stopped or killed writer blocks nobody. A torn line is skipped, counted and told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tasks.base.clock import Clock
from tasks.base.errors import StorageError
from tasks.base.files import fsync_folder, storage_error
from tasks.base.process import ProcessId
from tasks.faults.processes import Signature

Place = Literal["processes", "kubernetes"]
EVENTS = (
    "planned",
    "armed",
    "acting",
    "spawned",
    "effective",
    "acknowledged",
    "revert_requested",
    "reverted",
    "unverified",
    "verified",
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Everything that the journal says about one fault. Times: wall clock (UTC) and ``CLOCK_MONOTONIC``, in seconds."""

    id: str
    kind: str
    target: str
    intensity: float
    placebo: bool
    duration_s: float
    boot: str
    leader: ProcessId | None
    """The target's main process when the fault was planned."""
    signature: Signature | None
    events: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The last record of each event, by its name."""
    place: Place = "processes"
    """Where it acts: on processes of this machine, or in a cluster."""

    def wall_s(self, event: str) -> float | None:
        """When *event* happened, wall clock; None: it did not. The record's own ``at_wall_s`` precedes its time of writing."""
        record = self.events.get(event)
        return None if record is None else float(record.get("at_wall_s") or record["wall_s"])

    @property
    def open(self) -> bool:
        """Whether it is not known to be over."""
        return "verified" not in self.events

    @property
    def acted(self) -> bool:
        """Whether anything was allowed to act."""
        return "acting" in self.events

    @property
    def guard(self) -> ProcessId | None:
        """The process that ends the fault."""
        return _process(self.events.get("armed", {}).get("guard"))

    @property
    def actuator(self) -> ProcessId | None:
        """The process that does it, when it is known."""
        return _process(self.events.get("spawned", {}).get("actuator"))

    @property
    def _limit(self) -> Mapping[str, Any]:
        return self.events["acting" if self.acted else "planned"]

    def stated_end_wall_s(self, clock: Clock) -> float | None:
        """The wall time of its stated end, by whichever clock reached it first; None while it has not passed."""
        if not self.over(clock) or self.boot != boot_id():
            return None
        now_s = clock.wall_s()
        past_s = max(clock.monotonic_s() - float(self._limit["until_mono_s"]), now_s - float(self._limit["until_wall_s"]))
        return now_s - past_s

    def over(self, clock: Clock) -> bool:
        """Whether its stated end has passed, by either clock or, where it acts on this machine, by a restart of that."""
        limit = self._limit
        if self.boot != boot_id():
            return self.place == "processes" or clock.wall_s() >= float(limit["until_wall_s"])
        return clock.monotonic_s() >= float(limit["until_mono_s"]) or clock.wall_s() >= float(limit["until_wall_s"])


@dataclass(frozen=True, slots=True)
class JournalView:
    """The journal as read at one moment."""

    entries: Mapping[str, JournalEntry]
    torn: int
    """Lines that were not whole; what they said is unknown."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of the deployment in *state_dir*."""

    state_dir: Path

    @property
    def folder(self) -> Path:
        """Where the journal and the guards' pipes lie (mode 0700); the one path by which actuators are known."""
        return self.state_dir.resolve() / "journal"

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "faults.jsonl"

    def append(self, fault: str, event: str, clock: Clock, **facts: Any) -> None:
        """
        Write one record and wait until it is on disk.

        Raises:
            StorageError: It could not be written; nothing may act then.
        """
        record = {"id": fault, "event": event, "wall_s": clock.wall_s(), "mono_s": clock.monotonic_s(), **facts}
        line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(handle).st_size
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                data = b"\n" + line if torn else line
                if os.write(handle, data) != len(data):
                    raise StorageError(f"no space left while writing {self.path}", next_step="free some disk space")
                os.fsync(handle)
            finally:
                os.close(handle)
            if size == 0:
                fsync_folder(self.folder)
        except OSError as error:
            raise storage_error(error, self.path) from error

    def size(self) -> int:
        """Bytes so far: a cheap way to see whether anything was added."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self) -> JournalView:
        """Every fault that was planned, and how many lines were torn; an absent journal is empty."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            lines = []
        entries: dict[str, JournalEntry] = {}
        torn = 0
        for line in lines:
            if line.strip():
                torn += not _take(entries, line)
        return JournalView(entries, torn)

    def entry(self, fault: str) -> JournalEntry | None:
        """What is known about *fault*."""
        return self.read().entries.get(fault)


def boot_id() -> str:
    """Names this start of the machine: monotonic times and pids mean nothing in another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def process_json(process: ProcessId | None) -> list[int] | None:
    """A process as the journal writes it."""
    return None if process is None else [process.pid, process.start_ticks]


def _process(value: Any) -> ProcessId | None:
    return ProcessId(int(value[0]), int(value[1])) if value else None


def _take(entries: dict[str, JournalEntry], line: bytes) -> bool:
    """Add one line to *entries*; False when it is not a whole record."""
    try:
        record = json.loads(line)
        fault, event = record["id"], record["event"]
        if event not in EVENTS or not isinstance(record["wall_s"], float):
            return False
        if event == "planned":
            names = ("kind", "target", "intensity", "placebo", "duration_s", "boot")
            known = {name: record[name] for name in names} | {"place": record.get("place", "processes")}
            signature = Signature.from_json(record["signature"])
            entries[fault] = JournalEntry(fault, leader=_process(record["leader"]), signature=signature, events={event: record}, **known)
        else:
            before = entries[fault]
            entries[fault] = _with(before, event, record)
    except (ValueError, KeyError, TypeError, IndexError):
        return False
    return True


def _with(entry: JournalEntry, event: str, record: Mapping[str, Any]) -> JournalEntry:
    kept = entry.events.get(event)
    first = kept if event in ("acting", "acknowledged", "revert_requested", "reverted") and kept else record
    return replace(entry, events={**entry.events, event: first})
