"""What a supervisor says about itself in its state folder: ``state.json`` and ``events.jsonl``."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tasks.base.errors import StorageError
from tasks.base.files import read_json, write_json
from tasks.base.process import ProcessId

STATE_FILE = "state.json"
EVENTS_FILE = "events.jsonl"
Status = Literal["running", "stopping", "clearing", "waiting"]
"""``clearing``: ended, the rest of its group is going. ``waiting``: until its next start."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process that is kept running."""

    name: str
    role: str
    status: Status
    main: ProcessId | None
    """None while it does not run."""
    port: int | None
    proxy_port: int | None
    memory_limit_bytes: int | None
    restarts: int
    last_reason: str | None = None
    """``OOMKilled``, ``Error``, ``Completed`` or (asked to) ``Stopped``; None: it never ended."""
    next_start_s: float | None = None
    """Seconds until it is started again; None: it runs, or is not to be."""


@dataclass(frozen=True, slots=True)
class State:
    """A deployment as its supervisor last wrote it; times in seconds since 1970, UTC."""

    token: str
    boot_id: str
    supervisor: ProcessId
    kubelet_url: str
    entry: str | None
    owned: bool
    """Whether it ends with its owner (`run`) or stays (`up`)."""
    started_s: float
    expires_s: float | None
    ended_s: float | None
    processes: tuple[ProcessState, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"version": 1, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        fields = {key: item for key, item in value.items() if key not in ("version", "ok")}
        processes = tuple(
            ProcessState(**{**one, "main": None if one["main"] is None else ProcessId(**one["main"])}) for one in fields["processes"]
        )
        return cls(**{**fields, "supervisor": ProcessId(**fields["supervisor"]), "processes": processes})

    def write(self, state_dir: Path) -> None:
        """Put it into *state_dir*, atomically."""
        write_json(state_dir / STATE_FILE, self.to_json())

    @classmethod
    def read(cls, state_dir: Path) -> Self | None:
        """
        The state in *state_dir*; None when nothing was ever started there.

        Raises:
            StorageError: It is there and cannot be read.
        """
        if not (state_dir / STATE_FILE).exists():
            return None
        try:
            return cls.from_json(read_json(state_dir / STATE_FILE))
        except (KeyError, TypeError, AttributeError) as error:
            raise StorageError(f"{state_dir / STATE_FILE} is not a state file of this version: {error!r}") from error


class Events:
    """Appends to ``events.jsonl``; what cannot be written (a full disk) is counted, and said with the next one that can."""

    def __init__(self, state_dir: Path) -> None:
        self._file = os.open(state_dir / EVENTS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._unwritten = 0

    def add(self, kind: str, service: str | None = None, **fields: Any) -> None:
        """One line: wall time, *kind*, *service* (when it is about one), and *fields*."""
        event = {"time_s": round(time.time(), 3), "kind": kind, **({} if service is None else {"service": service}), **fields}
        if self._unwritten:
            event["unwritten_before"] = self._unwritten
        line = json.dumps(event).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            whole = os.write(self._file, line) == len(line)
        except OSError:
            whole = False
        self._unwritten = 0 if whole else self._unwritten + 1
        if not whole:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
