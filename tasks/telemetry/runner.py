"""Starts, watches and stops the collector process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tasks.base.errors import CredentialsError, DocumentError, LockedError, PreflightError, StorageError, TidegaugeError
from tasks.base.files import read_json
from tasks.base.process import ProcessId, identify, start_child, stop_group
from tasks.telemetry.plan import CollectorPlan
from tasks.telemetry.source import SourceStatus

GRACE_S = 10.0
SILENT_S, SILENT_FLUSHES = 10.0, 3.0
"""A collector that has committed nothing for the longer of the two is taken for hung."""
_REFUSALS: dict[int, type[TidegaugeError]] = {
    one.exit_code: one for one in (DocumentError, PreflightError, CredentialsError, StorageError, LockedError)
}


class Collector:
    """A collector process; a :class:`tasks.telemetry.source.TelemetrySource`."""

    def __init__(self, plan: CollectorPlan, *, tied: bool) -> None:
        self.plan = plan
        self.restarts = 0
        self._tied = tied
        self._child = self._started()

    @classmethod
    def start(cls, plan: CollectorPlan, *, tied: bool = True) -> Self:
        """
        Start collecting into ``plan.out``, or go on there.

        Args:
            plan: What to scrape, how often, where to.
            tied: The collector dies with the calling *thread*, so call it from one that lives as long as the recording.

        Raises:
            DocumentError: The plan cannot work.
        """
        plan.check()
        plan.out.mkdir(parents=True, exist_ok=True)
        plan.write(plan.out / "collector-config.json")
        return cls(plan, tied=tied)

    @property
    def out(self) -> Path:
        """The recording's folder."""
        return self.plan.out

    @property
    def process(self) -> ProcessId | None:
        """Who it is now; None when it is gone."""
        return identify(self._child.pid) if self._child.poll() is None else None

    def ready(self, timeout_s: float = 20.0) -> SourceStatus:
        """
        Wait until the first chunk of this start is on disk.

        Raises:
            PreflightError: It took longer than *timeout_s*.
            TidegaugeError: The collector refused to work; the message is its own.
        """
        first = self.status().chunk
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            self.keep()
            status = self.status()
            if status.chunk > first:
                return status
            time.sleep(0.05)
        raise PreflightError(f"the collector wrote nothing within {timeout_s:g} s", next_step=f"read {self._log}")

    def status(self) -> SourceStatus:
        """How it is, as of its last commit; all zero before the first."""
        path = self.out / "collector.json"
        said = read_json(path) if path.exists() else {}
        return SourceStatus(
            alive=self._child.poll() is None,
            chunk=said.get("chunk", 0),
            last_sample_s=said.get("last_scrape_s"),
            written_s=said.get("written_s"),
            cpu_s=said.get("cpu_s", 0.0),
            rss_bytes=said.get("rss_bytes", 0),
            restarts=self.restarts,
            down=said.get("down", {}),
        )

    def keep(self) -> bool:
        """
        Start it again when it has died; says whether it had.

        Raises:
            StorageError: It died because the disk is full.
            DocumentError: It refused its configuration.
            LockedError: Another collector writes to the folder.
        """
        code = self._child.poll()
        if code is None and not self._silent():
            return False
        if code is None:
            code = stop_group(self._child, grace_s=0)
        if code in _REFUSALS:
            raise _REFUSALS[code](self._last_words())
        self.restarts += 1
        self._child = self._started()
        return True

    def _silent(self) -> bool:
        """Whether it runs but has committed nothing for far longer than it should: it hangs, or is stopped."""
        path, limit_s = self.out / "collector.json", max(SILENT_FLUSHES * self.plan.flush_s, SILENT_S)
        try:
            heard_s = max(path.stat().st_mtime, self._begun_s)
        except FileNotFoundError:
            heard_s = self._begun_s
        return time.time() - heard_s > limit_s

    def stop(self) -> SourceStatus:
        """
        Let it flush and end, and wait for that; after 10 s it is killed, which costs what was not flushed.

        Raises:
            StorageError: The disk is full, the last samples could not be written.
        """
        code = stop_group(self._child, grace_s=GRACE_S)
        if code == StorageError.exit_code:
            raise StorageError(self._last_words())
        return self.status()

    @property
    def _log(self) -> Path:
        return self.out / "collector.log"

    def _started(self) -> subprocess.Popen[bytes]:
        self._begun_s = time.time()
        return start_child(
            [sys.executable, "-P", "-m", self.plan.program, str(self.out / "collector-config.json")],
            output=self._log,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
            tied=self._tied,
        )

    def _last_words(self) -> str:
        try:
            return self._log.read_text(errors="replace").strip()[-2000:] or "the collector ended without a word"
        except OSError as error:
            return f"the collector ended, and its log cannot be read: {error}"
