"""Judge one detector's scores against what really happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.evaluation.alarms import Alarm, alarms, in_alarm
from tasks.evaluation.benign import BenignAlarms
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.curves import average_precision
from tasks.evaluation.events import Detection, change_alarms, delay_quantiles, detect, placebo_alarms
from tasks.evaluation.exposure import false_alarms
from tasks.evaluation.intervals import clopper_pearson
from tasks.evaluation.load_change import LoadChange
from tasks.evaluation.ranges import harmonic, point_adjusted_f1, range_scores
from tasks.evaluation.result import OK, DetectionLimit, DetectorResult, RecallBy, failed
from tasks.evaluation.thresholds import Threshold
from tasks.evaluation.truth import Truth
from tasks.evaluation.volume import SAMPLED_THRESHOLDS, vus_pr

LIMIT_RECALL = 0.9
LIMIT_LEVELS = 5


def evaluate_detector(
    name: str, family: str, scores: ArrayLike, threshold: Threshold, truth: Truth, settings: EvaluationConfig
) -> DetectorResult:
    """
    Everything that is known of one detector on one recording of faults.

    Curves and ranges are taken over the rows in a detection window of an impact event (positives) and the exposed rows that
    are not degraded (negatives), laid end to end; other rows near faults belong to neither class.

    Args:
        name: The detector's name.
        family: Its family; ``floor`` for the floors.
        scores: The higher, the more anomalous, shape ``(n_rows,)``; NaN: no score.
        threshold: From calibration data only.
        truth: The recording.
        settings: How alarms are made and counted.

    Returns:
        A row with a status other than ``ok`` when no row has a score.
    """
    values = np.asarray(scores, dtype=float)
    if values.shape != truth.time_s.shape:
        raise ValueError(f"scores have shape {values.shape} but the recording has {len(truth.time_s)} rows")
    if not np.isfinite(values).any():
        return without_figures(name, family, "no row has a score", truth, settings)
    raised = alarms(truth.time_s, values, threshold.value, persistence=settings.persistence, close_after=settings.close_after)
    detections = detect(truth, raised)
    placebos = placebo_alarms(truth, raised)
    found = sum(d.detected for d in detections)
    interval = clopper_pearson(found, len(detections))
    delays = delay_quantiles(detections)
    labels = truth.labels()
    kept = labels | (truth.exposed() & ~truth.degraded)
    open_rows = in_alarm(truth.time_s, raised)
    buffer = round(settings.buffer_s / truth.step_s) if truth.step_s else 0
    by = recall_by(detections)
    recall = found / len(detections) if detections else None
    return DetectorResult(
        name=name,
        family=family,
        status=OK,
        seeds=1,
        impact_events=len(detections),
        events_detected=found,
        recall=recall,
        recall_low=interval.low if interval else None,
        recall_high=interval.high if interval else None,
        masked_events=sum(d.masked for d in detections),
        false_alarms=false_alarms(truth, raised, block_s=settings.block_length_s),
        false_alarms_degraded=false_alarms(truth, raised, block_s=settings.block_length_s, rows=truth.exposed() & truth.degraded),
        load_change=LoadChange.of(truth, raised, block_s=settings.block_length_s),
        threshold=threshold,
        budget_supported=threshold.budget_supported,
        false_alarm_bound_per_day=threshold.bound_per_day,
        delay_median_s=delays.median_s,
        delay_p90_s=delays.p90_s,
        auc_pr=average_precision(labels[kept], values[kept]),
        vus_pr=vus_pr(labels[kept], values[kept], buffer),
        vus_pr_sampled=vus_pr(labels[kept], values[kept], buffer, thresholds=SAMPLED_THRESHOLDS),
        vus_buffer_s=settings.buffer_s,
        ranges=range_scores(labels[kept], open_rows[kept]),
        event_f1=harmonic(_alarm_precision(truth, raised), recall),
        point_adjusted_f1=point_adjusted_f1(labels[kept], open_rows[kept]),
        placebo_alarm_ratio=sum(p.alarmed for p in placebos) / len(placebos) if placebos else None,
        quiet_alarm_ratio=_quiet_ratio(truth, open_rows),
        benign=BenignAlarms.of(change_alarms(truth, raised)),
        false_alarms_benign=false_alarms(truth, raised, block_s=settings.block_length_s, rows=truth.changing() & ~truth.degraded),
        recall_by=by,
        detection_limits=detection_limits(by),
        detections=detections,
        placebos=placebos,
        unscored_s=float((~np.isfinite(values)).sum() * truth.step_s),
    )


def without_figures(name: str, family: str, reason: str, truth: Truth, settings: EvaluationConfig) -> DetectorResult:
    """The row of a detector that has no result, and *reason*; how many events and changes there were is known all the same."""
    changes = BenignAlarms.of(change_alarms(truth, ())).changes
    return failed(name, family, reason, impact_events=len(truth.impacts), vus_buffer_s=settings.buffer_s, benign_changes=changes)


def recall_by(detections: Sequence[Detection]) -> tuple[RecallBy, ...]:
    """Events and detections of each kind and intensity, sorted."""
    keys = sorted({(d.kind, d.intensity) for d in detections})
    cells = [(key, [d for d in detections if (d.kind, d.intensity) == key]) for key in keys]
    return tuple(RecallBy(kind, intensity, len(rows), sum(d.detected for d in rows)) for (kind, intensity), rows in cells)


def detection_limits(by: Sequence[RecallBy]) -> tuple[DetectionLimit, ...]:
    """For each kind the smallest intensity from which on recall is at least 90 %, given at least five levels."""
    limits = []
    for kind in sorted({row.kind for row in by}):
        levels = sorted((row for row in by if row.kind == kind), key=lambda row: row.intensity)
        reached: float | None = None
        for row in reversed(levels):
            if row.events_detected / row.impact_events < LIMIT_RECALL:
                break
            reached = row.intensity
        limits.append(DetectionLimit(kind, len(levels), reached if len(levels) >= LIMIT_LEVELS else None))
    return tuple(limits)


def _alarm_precision(truth: Truth, raised: Sequence[Alarm]) -> float | None:
    """Share of alarms that opened in a detection window, among these and the ones that opened in exposed rows."""
    opened = np.isin(truth.time_s, [alarm.open_s for alarm in raised])
    labels = truth.labels()
    right = int((opened & labels).sum())
    counted = right + int((opened & truth.exposed() & ~truth.degraded & ~labels).sum())
    return right / counted if counted else None


def _quiet_ratio(truth: Truth, open_rows: NDArray[np.bool_]) -> float | None:
    """Share of stretches of fault-free rows outside placebos, as long as a placebo's window, with an open alarm."""
    windows = [truth.detection_window(trial) for trial in truth.placebos]
    if not windows or not truth.step_s:
        return None
    length = max(1, round(float(np.median([window.length_s for window in windows])) / truth.step_s) + 1)
    quiet = open_rows[truth.exposed() & ~truth.degraded & ~truth.within(windows)]
    whole = quiet[: len(quiet) // length * length].reshape(-1, length)
    return float(whole.any(axis=1).mean()) if len(whole) else None
