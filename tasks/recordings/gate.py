"""The warm-up gate: nothing counts before the app works, its metrics arrive and the load is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.app.model import App
from tasks.app.smoke import smoke
from tasks.base.clock import Clock
from tasks.base.errors import PreflightError
from tasks.base.mistakes import nearest
from tasks.base.progress import Progress, Report
from tasks.load.runner import LoadStatus
from tasks.telemetry.samples import read_series

POLL_S = 0.2
ARRIVED_RATIO = 0.9
"""Share of the planned users that must be at work."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What is asked before a recording starts to count."""

    app: App
    required_metrics: Sequence[str]
    samples: Path
    warmup_s: float
    limit_s: float

    def pass_under_load(self, status: Callable[[], LoadStatus], keep: Callable[[], None], clock: Clock, report: Report) -> None:
        """
        Wait until the load has arrived, every required metric has, and *warmup_s* is over.

        Raises:
            PreflightError: It did not happen within *limit_s*; says what is missing.
        """
        begun = clock.monotonic_s()
        while True:
            keep()
            waited = clock.monotonic_s() - begun
            missing = self.missing(status())
            report(Progress("warm-up", missing or "settling", min(waited, self.warmup_s), max(self.warmup_s, 0.001)))
            if missing is None and waited >= self.warmup_s:
                return
            if missing is not None and waited >= self.limit_s:
                raise PreflightError(
                    f"after {waited:.0f} s the recording cannot start: {missing}",
                    next_step="mend that (required_metrics of app and telemetry, load), or raise warmup_limit_s",
                )
            clock.sleep(POLL_S)

    def missing(self, load: LoadStatus) -> str | None:
        """What is not there yet, or None."""
        if load.second is None or load.users_present < ARRIVED_RATIO * load.users_planned:
            return f"only {load.users_present} of {load.users_planned:.0f} users are at work"
        if load.journeys_planned > 0 and load.requests_per_s == 0:
            return "the load's requests get no answer"
        known = {one.name for one in read_series(self.samples)} if (self.samples / "samples").is_dir() else set()
        absent = [name for name in (*self.app.required_metrics, *self.required_metrics) if name not in known]
        if not absent:
            return None
        if len(absent) > 1:
            return f"the required metrics {', '.join(absent)} have not arrived"
        return f"the required metric {absent[0]} has not arrived{nearest(absent[0], known)}"


def require_smoke(address: str, app: App) -> None:
    """
    Browse, fill a basket, order: once, before the load.

    Raises:
        PreflightError: A step failed.
    """
    result = smoke(address, app.smoke)
    if not result.passed:
        raise PreflightError(f"the smoke test of {app.name} failed: {result.sentence}", next_step="tidegauge up FILE, and click through it")
