"""Which faults were detected, and how soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tasks.base.trials import Outcome, Trial
from tasks.evaluation.alarms import Alarm
from tasks.evaluation.truth import Truth


@dataclass(frozen=True, slots=True)
class Detection:
    """What one detector made of one impact event."""

    trial: str
    kind: str
    target: str
    intensity: float
    detected: bool
    """An alarm opened in [acknowledged, reverted + grace], and none was open when the fault began."""
    masked: bool
    """An alarm was already open when the fault was acknowledged: a miss, whatever came later."""
    opened_s: float | None
    """When the first such alarm opened; None: a miss."""
    delay_s: float | None
    """From acknowledged to *opened_s*; None: a miss."""
    censored_s: float | None
    """Of a miss: seconds from acknowledged to the end of the window, during which no detection came; None: detected."""
    degraded: bool
    """Generator, telemetry or machine fell short in some row of the window."""

    @property
    def fresh(self) -> bool:
        """The alarm started after the fault did; every detection is."""
        return self.detected

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PlaceboAlarm:
    """Whether an alarm was open in a placebo's window."""

    trial: str
    kind: str
    target: str
    alarmed: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChangeAlarm:
    """Whether an alarm was open while a benign change took place."""

    trial: str
    kind: str
    target: str
    alarmed: bool
    opened_s: float | None
    """When the first alarm opened in its span; None: none did, though one may have been open already."""
    counted: bool
    """False: users noticed the change, or a fault's span reaches into its own, so that an alarm may be right."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def detect(truth: Truth, raised: Sequence[Alarm]) -> tuple[Detection, ...]:
    """One record for each impact event of *truth*, in the order of its trials; *raised* sorted by time."""
    return tuple(_detection(truth, trial, raised) for trial in truth.impacts)


def placebo_alarms(truth: Truth, raised: Sequence[Alarm]) -> tuple[PlaceboAlarm, ...]:
    """
    One record for each placebo: an alarm opens, or is still open, in [acknowledged, reverted + grace].

    An alarm that is open all the time counts here as it does in the blocks of quiet time, so that both rates compare.
    """
    records = []
    for trial in truth.placebos:
        window = truth.detection_window(trial)
        open_inside = any(alarm.open_s <= window.end_s and alarm.close_s > window.start_s for alarm in raised)
        records.append(PlaceboAlarm(trial.id, trial.kind, trial.target, open_inside))
    return tuple(records)


def change_alarms(truth: Truth, raised: Sequence[Alarm]) -> tuple[ChangeAlarm, ...]:
    """
    One record for each benign change that took place: an alarm opens, or is still open, in [requested, back to normal + grace].

    All the time that is not quiet because of the change is looked at, so that no alarm falls between the two. As with placebos an
    alarm that is open all the time counts.
    """
    records, faults = [], truth.fault_spans()
    for trial in truth.changes:
        span = truth.change_span(trial)
        alarmed = any(alarm.open_s <= span.end_s and alarm.close_s > span.start_s for alarm in raised)
        opened = next((alarm.open_s for alarm in raised if alarm.open_s in span), None)
        counted = trial.outcome == Outcome.BENIGN and not any(span.overlaps(fault) for fault in faults)
        records.append(ChangeAlarm(trial.id, trial.kind, trial.target, alarmed, opened, counted))
    return tuple(records)


def _detection(truth: Truth, trial: Trial, raised: Sequence[Alarm]) -> Detection:
    window = truth.detection_window(trial)
    end = min(window.end_s, float(truth.time_s[-1])) if len(truth.time_s) else window.end_s
    masked = any(alarm.open_s < window.start_s < alarm.close_s for alarm in raised)
    opened = None if masked else next((alarm.open_s for alarm in raised if alarm.open_s in window), None)
    return Detection(
        trial=trial.id,
        kind=trial.kind,
        target=trial.target,
        intensity=trial.intensity,
        detected=opened is not None,
        masked=masked,
        opened_s=opened,
        delay_s=None if opened is None else opened - window.start_s,
        censored_s=max(0.0, end - window.start_s) if opened is None else None,
        degraded=bool((truth.within([window]) & truth.degraded).any()),
    )


@dataclass(frozen=True, slots=True)
class DelayQuantiles:
    """Of the time to detection, misses censored; None: not reached."""

    median_s: float | None
    p90_s: float | None


def delay_quantiles(detections: Sequence[Detection]) -> DelayQuantiles:
    """Median and 90 % point of the delay, misses censored at the end of their window."""
    durations = [d.delay_s if d.delay_s is not None else d.censored_s or 0.0 for d in detections]
    seen = [d.detected for d in detections]
    return DelayQuantiles(survival_quantile(durations, seen, 0.5), survival_quantile(durations, seen, 0.9))


def survival_quantile(durations: Sequence[float], seen: Sequence[bool], share: float) -> float | None:
    """
    When *share* of all events have happened, by the product-limit estimate (Kaplan & Meier, 1958).

    Args:
        durations: Time to the event, or to where watching ended, one an individual.
        seen: Whether the event happened; False: censored at its duration.
        share: Between 0 and 1.

    Returns:
        The first time at which the estimated survival is at most ``1 - share``; None when it never falls so low.
    """
    times = np.asarray(durations, dtype=float)
    events = np.asarray(seen, dtype=bool)
    survival = 1.0
    for moment in np.unique(times[events]):
        at_risk = int((times >= moment).sum())
        survival *= 1 - int((events & (times == moment)).sum()) / at_risk
        if survival <= 1 - share + 1e-12:
            return float(moment)
    return None
