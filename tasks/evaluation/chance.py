"""The random row: what scores without any knowledge reach, averaged over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from tasks.evaluation.benign import BenignAlarms
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.detector import detection_limits, evaluate_detector
from tasks.evaluation.events import delay_quantiles
from tasks.evaluation.exposure import FalseAlarms, averaged
from tasks.evaluation.intervals import clopper_pearson
from tasks.evaluation.load_change import LoadChange
from tasks.evaluation.ranges import RangeScores
from tasks.evaluation.result import OK, DetectorResult, RecallBy
from tasks.evaluation.thresholds import Calibration
from tasks.evaluation.truth import Truth


def random_row(
    calibration: Calibration,
    truth: Truth,
    settings: EvaluationConfig,
    *,
    scored_in_calibration: ArrayLike,
    scored: ArrayLike,
    seed: int,
) -> DetectorResult:
    """
    The row ``random`` of family ``floor``: uniform scores, calibrated and judged as any detector's, averaged over seeds.

    Args:
        calibration: How a threshold is set.
        truth: The recording of faults.
        settings: How alarms are made and counted; ``random_seeds`` of them are drawn.
        scored_in_calibration: True where a calibration row has a score, shape ``(n_calibration_rows,)``.
        scored: True where a row of the recording has a score, shape ``(n_rows,)``.
        seed: Of the run.

    Raises:
        IncompleteError: No calibration row has a score.
    """
    known, tested = np.asarray(scored_in_calibration, dtype=bool), np.asarray(scored, dtype=bool)
    results = []
    for number in range(settings.random_seeds):
        rng = np.random.default_rng([seed, number])
        threshold = calibration.threshold(np.where(known, rng.random(len(known)), np.nan))
        scores = np.where(tested, rng.random(len(tested)), np.nan)
        results.append(evaluate_detector("random", "floor", scores, threshold, truth, settings))
    return average(results)


def average(results: Sequence[DetectorResult]) -> DetectorResult:
    """
    One row from the same detector under several seeds.

    Counts, rates and areas are means of the seeds for which they are defined. Intervals are those of a single recording
    with the mean count, so that they compare with other rows. Delays are pooled, misses censored.

    Raises:
        ValueError: No results.
    """
    if not results:
        raise ValueError("nothing to average")
    first = results[0]
    if any(result.status != OK for result in results):
        return next(result for result in results if result.status != OK)
    found = _mean(results, lambda r: r.events_detected)
    interval = None if found is None else clopper_pearson(found, first.impact_events)
    delays = delay_quantiles([detection for result in results for detection in result.detections])
    by = tuple(
        RecallBy(row.kind, row.intensity, row.impact_events, math.fsum(r.recall_by[i].events_detected for r in results) / len(results))
        for i, row in enumerate(first.recall_by)
    )
    return replace(
        first,
        seeds=len(results),
        events_detected=found,
        recall=None if found is None or not first.impact_events else found / first.impact_events,
        recall_low=interval.low if interval else None,
        recall_high=interval.high if interval else None,
        masked_events=_mean(results, lambda r: r.masked_events),
        false_alarms=_mean_false_alarms([r.false_alarms for r in results]),
        false_alarms_degraded=_mean_false_alarms([r.false_alarms_degraded for r in results]),
        load_change=LoadChange.averaged([r.load_change for r in results]),
        threshold=first.threshold if len(results) == 1 else None,
        budget_supported=all(r.budget_supported for r in results),
        delay_median_s=delays.median_s,
        delay_p90_s=delays.p90_s,
        auc_pr=_mean(results, lambda r: r.auc_pr),
        vus_pr=_mean(results, lambda r: r.vus_pr),
        vus_pr_sampled=_mean(results, lambda r: r.vus_pr_sampled),
        ranges=RangeScores(
            _mean(results, lambda r: r.ranges.precision if r.ranges else None),
            _mean(results, lambda r: r.ranges.recall if r.ranges else None),
            _mean(results, lambda r: r.ranges.f1 if r.ranges else None),
        ),
        event_f1=_mean(results, lambda r: r.event_f1),
        point_adjusted_f1=_mean(results, lambda r: r.point_adjusted_f1),
        placebo_alarm_ratio=_mean(results, lambda r: r.placebo_alarm_ratio),
        quiet_alarm_ratio=_mean(results, lambda r: r.quiet_alarm_ratio),
        benign=BenignAlarms.averaged([r.benign for r in results]),
        false_alarms_benign=_mean_false_alarms([r.false_alarms_benign for r in results]),
        recall_by=by,
        detection_limits=detection_limits(by),
        detections=first.detections if len(results) == 1 else (),
        placebos=first.placebos if len(results) == 1 else (),
    )


def _mean(results: Sequence[DetectorResult], value: Callable[[DetectorResult], float | None]) -> float | None:
    """Over the results for which it is defined."""
    known = [figure for result in results if (figure := value(result)) is not None]
    return math.fsum(known) / len(known) if known else None


def _mean_false_alarms(counts: Sequence[FalseAlarms | None]) -> FalseAlarms | None:
    known = [count for count in counts if count is not None]
    return averaged(known) if known else None
