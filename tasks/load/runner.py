"""Starting, watching and stopping the load generator, a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError
from tasks.base.process import start_child
from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of, shipped_folders
from tasks.load.plan import GeneratorPlan, plan_of, write_plan
from tasks.load.raw import RawSecond, Tail, raw_files
from tasks.load.script import VARIABLE
from tasks.load.shapes import curve_of
from tasks.load.status import LoadStatus, Restart, status_of

__all__ = ["LoadRun", "LoadStatus", "Restart"]

LOCUSTFILE = Path(__file__).resolve().parent / "journeys" / "locustfile.py"
READY_S = 60.0
"""Longest wait for the first line of a generator's log."""
SILENCE_S = 6.0
"""A generator that logs nothing for this long is taken for hung."""
FUTILE = 3
"""Restarts in a row without one logged second, after which it is given up."""


@dataclass(slots=True)
class LoadRun:
    """A running load. Call :meth:`keep` every second or so from the thread that started it."""

    plan: GeneratorPlan
    out: Path
    clock: Clock
    child: subprocess.Popen[bytes] | None = None
    tail: Tail | None = None
    restarts: list[Restart] = field(default_factory=list)
    origin_wall_s: float | None = None
    """When the load began or will begin, seconds since 1970 (UTC): a whole second."""
    _last: dict[str, Any] | None = None
    _ended: bool = False
    _stopped: bool = False
    _futile: int = 0
    _heard_s: float = 0.0
    _asked_s: float = 0.0

    @classmethod
    def start(
        cls,
        settings: LoadConfig,
        *,
        host: str,
        seed: int,
        out: Path,
        duration_s: float | None = None,
        offset_s: float = 0.0,
        folders: Sequence[Path] = (),
    ) -> Self:
        """
        Start the load and return once the generator is ready; the first users come on the next whole second.

        Args:
            settings: The section ``load``.
            host: Base address of the application's entry, ``http://127.0.0.1:PORT``, unless *settings* has one.
            seed: Seed of phases and choices.
            out: Folder of the recording's load; made when missing; raw logs go there.
            duration_s: Length in seconds; None: until :meth:`stop`.
            offset_s: Where in the users' curve to begin, in seconds.
            folders: Where CSV files and journey sets are looked for before the shipped ``configs``.

        Raises:
            DocumentError: A CSV file or journey set is wrong or missing.
            PreflightError: The generator did not start; the message holds the end of its output.
        """
        places = (*folders, *shipped_folders())
        curve, journeys = curve_of(settings.users, places), journeys_of(settings, places)
        out.mkdir(parents=True, exist_ok=True)
        plan = plan_of(settings, curve=curve, journeys=journeys, host=settings.address or host, seed=seed, raw=out / "raw-000001.jsonl")
        run = cls(plan.model_copy(update={"duration_s": duration_s, "offset_s": offset_s}), out, SystemClock())
        run._spawn()
        try:
            run._wait_ready()
        except BaseException:
            run.stop(grace_s=0)  # interrupted while waiting: nothing stays behind
            raise
        return run

    def _spawn(self) -> None:
        number = len(raw_files(self.out)) + 1
        raw, path = self.out / f"raw-{number:06d}.jsonl", self.out / f"generator-{number:06d}.json"
        self.plan = self.plan.model_copy(update={"raw": str(raw)})
        write_plan(path, self.plan)
        raw.touch()
        argv = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING", "-f", str(LOCUSTFILE)]
        self.child = start_child(argv, output=self.out / "generator.log", env=_environment(path, self.out), cwd=self.out)
        self.tail = Tail(raw)
        self._heard_s = self._asked_s = self.clock.monotonic_s()

    def _wait_ready(self) -> None:
        deadline = self.clock.monotonic_s() + READY_S
        while self.plan.origin_monotonic_s is None:
            self._listen()
            if self._exit_status() is not None or self.clock.monotonic_s() > deadline:
                self.stop(grace_s=0)
                raise PreflightError(
                    f"the load generator did not start: {self._output_end()}", next_step=f"see {self.out / 'generator.log'}"
                )
            self.clock.sleep(0.05)

    def _output_end(self) -> str:
        lines = (self.out / "generator.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _exit_status(self) -> int | None:
        return None if self.child is None else self.child.poll()

    def _listen(self) -> None:
        for row in self.tail.new() if self.tail else ():
            self._heard_s = self.clock.monotonic_s()
            match row.get("kind"):
                case "start" if self.origin_wall_s is None:
                    self.origin_wall_s = row["origin_wall_s"]
                    self.plan = self.plan.model_copy(update={"origin_monotonic_s": row["origin_monotonic_s"]})
                case "second":
                    self._last, self._futile = row, 0
                case "end":
                    self._ended = True

    def keep(self) -> Restart | None:
        """
        Replace a generator that died or hangs; the new one goes on at the right place of the curve, in a log of its own.

        Returns:
            The restart, or None when all is well (or the load is over).

        Raises:
            PreflightError: It died again and again before it had logged one second.
        """
        exit_status = self._exit_status()
        self._listen()
        now, asked = self.clock.monotonic_s(), self._asked_s
        self._asked_s = now
        if now - asked > SILENCE_S / 2:
            self._heard_s = now  # this process was held up itself: give the generator time to be heard
        if self._ended or self._stopped:
            return None
        if exit_status is None and now - self._heard_s <= SILENCE_S:
            return None
        return self._restart("hung" if exit_status is None else "dead", exit_status)

    def _restart(self, why: Literal["dead", "hung"], exit_status: int | None) -> Restart:
        self._kill()
        restart = Restart(self.clock.wall_s(), why, exit_status, None if self._last is None else self._last["second"])
        self.restarts.append(restart)
        self._futile += 1
        if self._futile > FUTILE:
            raise PreflightError(f"the load generator keeps dying: {self._output_end()}", next_step=f"see {self.out / 'generator.log'}")
        self._spawn()
        return restart

    def _kill(self) -> None:
        if self.child is not None:
            _signal_group(self.child, signal.SIGKILL)
            self.child.wait()
            self._listen()

    def status(self) -> LoadStatus:
        """What the load is doing; reads what was logged since the last call."""
        self._listen()
        last = None if self._last is None else RawSecond.of(self._last)
        alive = self.child is not None and self._exit_status() is None
        return status_of(last, alive=alive, finished=self._ended, restarts=len(self.restarts))

    def stop(self, grace_s: float = 10.0) -> LoadStatus:
        """
        End the load: ask, wait at most *grace_s* for journeys under way, then kill. Safe to call twice.

        Returns:
            The status after the end; ``finished`` is False when it had to be killed.
        """
        self._stopped = True
        if self.child is not None:
            _signal_group(self.child, signal.SIGTERM)
            try:
                self.child.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._kill()
        return self.status()


def _signal_group(child: subprocess.Popen[bytes], signum: int) -> None:
    if child.poll() is None:  # a session of its own: its group has its pid
        os.killpg(child.pid, signum)


def _environment(plan: Path, home: Path) -> dict[str, str]:
    """This environment without Locust's and proxies' settings; HOME elsewhere, so that no ``~/.locust.conf`` is read."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "TIDEGAUGE_")) and "proxy" not in key.lower()}
    project = str(Path(__file__).resolve().parents[2])
    python_path = os.pathsep.join(part for part in (project, kept.get("PYTHONPATH", "")) if part)
    return {**kept, VARIABLE: str(plan), "HOME": str(home), "PYTHONPATH": python_path}
