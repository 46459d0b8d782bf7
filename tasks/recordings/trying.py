"""The faults of a recording, one after the other: inject, wait, revert, see it calm down, only then the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tasks.base.clock import Clock
from tasks.base.errors import PreflightError
from tasks.base.intervals import Interval
from tasks.base.progress import Progress, Report
from tasks.base.trials import Outcome, Trial, Windows
from tasks.faults.injecting import FaultInjector
from tasks.faults.preflight import FaultRequest
from tasks.faults.schedule import PlannedTrial, again
from tasks.recordings.evidence import Scene
from tasks.recordings.judging import judged_one, spans_of

POLL_S = 0.25
NOT_BACK = "not back to normal"


@dataclass(slots=True)
class Trying:
    """Walks through a plan of trials on a running deployment."""

    injector: FaultInjector
    clock: Clock
    scene: Callable[[Sequence[Interval], float], Scene | None]
    """What is on disk now, with all that judges a fault of that moment after faults in those spans; None before there is anything."""
    keep: Callable[[], None]
    """Looks after collector and load; called all the time."""
    report: Report
    grace_s: float
    lag_s: float
    """How far the scene may be behind: the flush interval and a scrape."""
    settle_limit_s: float
    """Longest wait, after the quiet time, for a return to normal."""
    done: list[Trial] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    """Ids of the trials that were begun."""
    stuck: bool = False
    """Whether the last fault did not come back to normal."""
    untried: str = ""
    """Why the rest of the plan was not tried; empty: all of it was."""

    def walk(self, planned: Sequence[PlannedTrial], start_mono_s: float, *, retry: bool) -> None:
        """
        Try every fault of *planned*; with *retry*, one more slot at the end for what was not injected.

        After a fault that does not come back to normal nothing further is tried: what followed could be its doing.
        """
        waiting = list(planned)
        number, behind_s = len(planned), 0.0
        while waiting:
            plan = waiting.pop(0)
            if plan.start_s > 0:
                self.hold(start_mono_s + plan.start_s + behind_s, f"quiet before {plan.id}", plan)
            trial = self.one(plan)
            over_s = self.clock.monotonic_s()
            self.done.append(self.settle(trial, over_s + plan.quiet_s, plan))
            last = self.done[-1]
            if self.stuck and waiting:
                self.untried = f"{', '.join(one.id for one in waiting)} not tried: {last.id} ({last.kind} on {last.target}) was {NOT_BACK}"
                return
            if retry and last.outcome is Outcome.NOT_INJECTED and number < 2 * len(planned) and plan in planned:
                number += 1
                waiting.append(again(plan, number, 0.0))
            behind_s = (
                max(behind_s, self.clock.monotonic_s() - start_mono_s - (plan.end_s + plan.quiet_s)) if plan.start_s > 0 else behind_s
            )

    def hold(self, until_mono_s: float, text: str, plan: PlannedTrial | None = None) -> None:
        """Wait, and look after everything meanwhile."""
        begun = self.clock.monotonic_s()
        while (now := self.clock.monotonic_s()) < until_mono_s:
            self.keep()
            self.report(Progress("faults" if plan else "recording", text, now - begun, until_mono_s - begun))
            self.clock.sleep(min(POLL_S, max(0.0, until_mono_s - now)))

    def one(self, plan: PlannedTrial) -> Trial:
        """Inject *plan* and wait until it is reverted and verified."""
        request = FaultRequest(
            id=plan.id, kind=plan.kind, target=plan.target, intensity=plan.intensity, duration_s=plan.duration_s, placebo=plan.placebo
        )
        requested = self.clock.wall_s()
        self.begun.append(plan.id)
        named = (plan.id, plan.kind, plan.target, plan.intensity, plan.placebo, plan.duration_s)
        trial = Trial(*named, Windows(requested), benign=plan.benign)
        try:
            fault = self.injector.inject(request)
        except PreflightError as error:
            outcome = None if plan.placebo else Outcome.NOT_INJECTED
            return replace(trial, outcome=outcome, note=f"refused: {error.message}")
        text = f"{plan.id} {plan.kind} on {plan.target}" + (" (placebo)" if plan.placebo else "")
        try:
            receipt = fault.wait(lambda: self._look(text, plan))
        except BaseException:
            fault.revert()
            raise
        windows = Windows(
            requested=receipt.requested,
            acknowledged=receipt.acknowledged,
            # A fault that ends itself is over before its guard asks: the label says when the end began.
            revert_requested=min((t for t in (receipt.revert_requested, receipt.reverted) if t is not None), default=None),
            reverted=receipt.reverted,
        )
        return replace(trial, windows=windows, note=receipt.note)

    def _look(self, text: str, plan: PlannedTrial) -> bool:
        self.keep()
        self.report(Progress("faults", text, 0, plan.duration_s))
        return False

    def settle(self, trial: Trial, quiet_until_s: float, plan: PlannedTrial) -> Trial:
        """
        Wait for the quiet time, then until witness and callers are back inside the normal band, at most ``settle_limit_s`` more.

        Returns:
            The trial as the live data show it: good enough to decide about a retry; the final word is spoken on the whole recording.
        """
        self.hold(quiet_until_s, f"quiet after {plan.id}", plan)
        limit_s = self.clock.monotonic_s() + self.settle_limit_s
        while True:
            busy = spans_of(self.done, self.grace_s)
            scene = self.scene(busy, trial.windows.requested)
            seen = trial if scene is None else judged_one(scene, trial, busy, self.grace_s)
            calm = scene is not None and self._calm(scene, seen)
            if calm or trial.windows.acknowledged is None:
                return replace(seen, note=trial.note)
            if self.clock.monotonic_s() > limit_s:
                self.stuck = True
                late = f"{NOT_BACK} {self.settle_limit_s:g} s after its quiet time"
                return replace(seen, note="; ".join(filter(None, (trial.note, late))))
            self.hold(self.clock.monotonic_s() + 1.0, f"waiting until {plan.target} is back to normal", plan)

    def _calm(self, scene: Scene, trial: Trial) -> bool:
        """Whether what had to return has returned, on rows young enough to say so."""
        newest = float(scene.matrix.time_s[-1]) if len(scene.matrix.time_s) else 0.0
        if newest < self.clock.wall_s() - 3 * self.lag_s:
            return False
        return trial.windows.back_to_normal is not None
