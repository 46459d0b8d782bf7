"""What really happened in a recording, as rows and windows: the ground truth that no detector sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.base.intervals import Interval, merged
from tasks.base.trials import OF_BENIGN, Outcome, Trial
from tasks.evaluation.alarms import step_of


@dataclass(frozen=True, slots=True)
class Truth:
    """One recording's rows and trials."""

    time_s: NDArray[np.float64]
    """Rising times of the rows, shape ``(n_rows,)``, seconds since 1970, UTC."""
    trials: tuple[Trial, ...]
    degraded: NDArray[np.bool_]
    """Rows in which load generator, telemetry or machine fell short, shape ``(n_rows,)``."""
    grace_s: float
    """Seconds after a revert in which the fault may still show."""
    load_changing: NDArray[np.bool_] | None = None
    """Rows on ramps and steps of the load, shape ``(n_rows,)``; None: not known."""
    also_events: tuple[str, ...] = ()
    """Outcomes that were asked for as events beside ``impact``."""

    @classmethod
    def of(
        cls,
        time_s: ArrayLike,
        trials: Iterable[Trial],
        *,
        grace_s: float,
        degraded: ArrayLike | None = None,
        load_changing: ArrayLike | None = None,
        also_events: Sequence[str] = (),
    ) -> Truth:
        """
        From plain values; *degraded* None: no row is; *load_changing* None: not known.

        Raises:
            ValueError: Times that do not rise, or shapes that differ.
        """
        times = np.asarray(time_s, dtype=float)
        bad = np.zeros(len(times), dtype=bool) if degraded is None else np.asarray(degraded, dtype=bool)
        changing = None if load_changing is None else np.asarray(load_changing, dtype=bool)
        for rows in (bad, changing):
            if rows is not None and (times.ndim != 1 or rows.shape != times.shape):
                raise ValueError(f"time_s has shape {times.shape} and a mask {rows.shape}; both must be (n_rows,)")
        if len(times) > 1 and not (np.diff(times) > 0).all():
            raise ValueError("time_s must rise from row to row")
        return cls(times, tuple(trials), bad, grace_s, changing, tuple(also_events))

    @property
    def step_s(self) -> float:
        """Seconds between rows."""
        return step_of(self.time_s)

    @property
    def impacts(self) -> tuple[Trial, ...]:
        """The events to detect: faults that users could see, and those with outcomes that were asked for."""
        wanted = {Outcome.IMPACT.value, *self.also_events}
        acknowledged = (trial for trial in self.trials if trial.windows.acknowledged is not None and trial.fault)
        return tuple(trial for trial in acknowledged if trial.outcome in wanted)

    @property
    def placebos(self) -> tuple[Trial, ...]:
        """The placebos that were walked to their acknowledgement."""
        return tuple(trial for trial in self.trials if trial.placebo and trial.windows.acknowledged is not None)

    @property
    def changes(self) -> tuple[Trial, ...]:
        """The benign changes that took place."""
        return tuple(trial for trial in self.trials if trial.outcome in OF_BENIGN and trial.windows.acknowledged is not None)

    def detection_window(self, trial: Trial) -> Interval:
        """
        Where an alarm must open to detect *trial*: [acknowledged, reverted + grace].

        Without a seen revert, the request to revert or else the planned end stands for it.

        Raises:
            ValueError: *trial* was never acknowledged.
        """
        start = trial.windows.acknowledged
        if start is None:
            raise ValueError(f"trial {trial.id} was never acknowledged, so it has no detection window")
        return Interval(start, max(start, self._reverted(trial, start)) + self.grace_s)

    def fault_spans(self) -> tuple[Interval, ...]:
        """
        Where a real fault may show, disjoint and sorted: [requested, back to normal + grace]; placebos have none.

        A fault that was injected and never seen back to normal reaches to the last row. One that was not injected ends with
        its revert, and so does a benign change that did not take place.
        """
        changes = self.changes
        return merged(self._span(trial) for trial in self.trials if not trial.placebo and trial not in changes)

    def change_span(self, trial: Trial) -> Interval:
        """Where the benign change *trial* may show: [requested, back to normal + grace], to the last row where no return was seen."""
        return self._span(trial)

    def change_spans(self) -> tuple[Interval, ...]:
        """Where benign changes that took place may show, disjoint and sorted."""
        return merged(map(self._span, self.changes))

    def within(self, spans: Sequence[Interval]) -> NDArray[np.bool_]:
        """Which rows lie in one of *spans*, shape ``(n_rows,)``."""
        inside = np.zeros(len(self.time_s), dtype=bool)
        for span in spans:
            inside |= (self.time_s >= span.start_s) & (self.time_s <= span.end_s)
        return inside

    def exposed(self) -> NDArray[np.bool_]:
        """Quiet time: rows outside every span of a fault or a benign change, placebo windows included, degraded rows included."""
        return ~self.within((*self.fault_spans(), *self.change_spans()))

    def changing(self) -> NDArray[np.bool_]:
        """Rows in the span of a benign change and in no fault's, degraded rows included."""
        return self.within(self.change_spans()) & ~self.within(self.fault_spans())

    def labels(self) -> NDArray[np.bool_]:
        """Rows in the detection window of an impact event: the positives of curves and ranges."""
        return self.within([self.detection_window(trial) for trial in self.impacts])

    def _span(self, trial: Trial) -> Interval:
        start = trial.windows.requested
        end = trial.windows.back_to_normal
        if end is None and trial.outcome == Outcome.NOT_INJECTED:
            end = self._reverted(trial, start)
        if end is None:
            end = float(self.time_s[-1]) if len(self.time_s) else start
        return Interval(start, max(start, end) + self.grace_s)

    def _reverted(self, trial: Trial, start: float) -> float:
        windows = trial.windows
        for moment in (windows.reverted, windows.revert_requested):
            if moment is not None:
                return moment
        return start + trial.duration_s
