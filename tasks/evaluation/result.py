"""What is known of one detector after a run: one row of the table, and what lies behind it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tasks.evaluation.benign import BenignAlarms
from tasks.evaluation.events import Detection, PlaceboAlarm
from tasks.evaluation.exposure import FalseAlarms
from tasks.evaluation.load_change import LoadChange, public_part
from tasks.evaluation.ranges import RangeScores
from tasks.evaluation.thresholds import Threshold

OK = "ok"


@dataclass(frozen=True, slots=True)
class RecallBy:
    """Recall of one kind of fault at one intensity."""

    kind: str
    intensity: float
    impact_events: int
    events_detected: float
    """A whole number, but for rows that are means over seeds."""


@dataclass(frozen=True, slots=True)
class DetectionLimit:
    """The smallest intensity of a kind with a recall of at least 90 %; None: not reached, or fewer than five levels."""

    kind: str
    levels: int
    intensity: float | None


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """One detector on one recording of faults; undefined is None everywhere."""

    name: str
    family: str
    status: str
    """``ok``, or why there is nothing to show."""
    seeds: int
    """Over how many seeds the figures are means: 1 but for the random row."""
    impact_events: int
    events_detected: float | None
    """Fresh detections: the alarm opened after onset. A whole number, but for means over seeds."""
    recall: float | None
    recall_low: float | None
    """Lower end of the exact 95 % interval."""
    recall_high: float | None
    """Upper end of the exact 95 % interval."""
    masked_events: float | None
    """Events that came while an alarm was already open; they count as missed."""
    false_alarms: FalseAlarms | None
    """On fault-free rows that are not degraded."""
    false_alarms_degraded: FalseAlarms | None
    """On fault-free rows that are degraded."""
    load_change: LoadChange | None
    """*false_alarms*, parted by what the load did; None: not known."""
    threshold: Threshold | None
    """None for a mean over seeds: each has its own."""
    budget_supported: bool | None
    false_alarm_bound_per_day: float | None
    delay_median_s: float | None
    delay_p90_s: float | None
    auc_pr: float | None
    vus_pr: float | None
    """Exact, over all thresholds."""
    vus_pr_sampled: float | None
    """At 250 thresholds, as in published tables."""
    vus_buffer_s: float
    ranges: RangeScores | None
    event_f1: float | None
    """From event recall and the share of alarms that opened in no fault-free row."""
    point_adjusted_f1: float | None
    """For an appendix only: random scores reach high values."""
    placebo_alarm_ratio: float | None
    """Share of placebo windows in which an alarm is open."""
    quiet_alarm_ratio: float | None
    """Share of fault-free stretches of the same length in which an alarm is open."""
    benign: BenignAlarms
    """Benign changes, and those with an alarm."""
    false_alarms_benign: FalseAlarms | None
    """On rows in the span of a benign change that are not degraded; no part of *false_alarms*."""
    recall_by: tuple[RecallBy, ...]
    detection_limits: tuple[DetectionLimit, ...]
    detections: tuple[Detection, ...]
    """One for each impact event; empty for a mean over seeds."""
    placebos: tuple[PlaceboAlarm, ...]
    unscored_s: float
    """Seconds of the recording without a score."""

    def public_row(self) -> dict[str, Any]:
        """The row of the run's public object: its keys and no others."""
        counted = self.false_alarms
        return {
            "name": self.name,
            "family": self.family,
            "impact_events": self.impact_events,
            "events_detected": self.events_detected,
            "false_alarms_per_day": counted.per_day if counted else None,
            "false_alarms_per_day_low": counted.per_day_low if counted else None,
            "false_alarms_per_day_high": counted.per_day_high if counted else None,
            "false_alarm_bound_per_day": self.false_alarm_bound_per_day,
            "budget_supported": self.budget_supported,
            "time_in_alarm_ratio": counted.time_in_alarm_ratio if counted else None,
            "delay_median_s": self.delay_median_s,
            "delay_p90_s": self.delay_p90_s,
            "auc_pr": self.auc_pr,
            "vus_pr": self.vus_pr,
            "placebo_alarm_ratio": self.placebo_alarm_ratio,
            **self.benign.public(),
            **public_part(self.load_change),
            "recall_by": [asdict(row) for row in self.recall_by],
            "status": self.status,
        }

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all fields; the public row's keys stand at the top level too."""
        return {**asdict(self), **self.public_row()}


def failed(name: str, family: str, reason: str, *, impact_events: int, vus_buffer_s: float, benign_changes: int = 0) -> DetectorResult:
    """The row of a detector that failed or ran out of time: it stays in the table, and says why."""
    return DetectorResult(
        name=name,
        family=family,
        status=reason,
        seeds=1,
        impact_events=impact_events,
        events_detected=None,
        recall=None,
        recall_low=None,
        recall_high=None,
        masked_events=None,
        false_alarms=None,
        false_alarms_degraded=None,
        load_change=None,
        threshold=None,
        budget_supported=None,
        false_alarm_bound_per_day=None,
        delay_median_s=None,
        delay_p90_s=None,
        auc_pr=None,
        vus_pr=None,
        vus_pr_sampled=None,
        vus_buffer_s=vus_buffer_s,
        ranges=None,
        event_f1=None,
        point_adjusted_f1=None,
        placebo_alarm_ratio=None,
        quiet_alarm_ratio=None,
        benign=BenignAlarms(benign_changes, None, None, None),
        false_alarms_benign=None,
        recall_by=(),
        detection_limits=(),
        detections=(),
        placebos=(),
        unscored_s=0.0,
    )
