"""The parts of the made-up run that are plain records: the run object and the lineage."""

from __future__ import annotations

from typing import Any

from tasks.base.files import sha256_text
from tasks.base.trials import Outcome, Trial
from tasks.reporting.model import EventResult, FalseAlarm, LineageStage, RecordingView


def detector_row(name: str, family: str, trials: tuple[Trial, ...], found: list[EventResult], false: list[FalseAlarm]) -> dict[str, Any]:
    """The row of one detector in the run object."""
    impact = [trial for trial in trials if trial.outcome is Outcome.IMPACT]
    hits = [result for result in found if result.outcome == "detected" and any(trial.id == result.trial for trial in impact)]
    delays = sorted(result.delay_s for result in hits if result.delay_s is not None)
    rate = len(false) * 86_400 / 150
    half = len(hits) * 2 >= len(impact)
    return {
        "name": name,
        "family": family,
        "impact_events": len(impact),
        "events_detected": len(hits),
        "false_alarms_per_day": rate,
        "false_alarms_per_day_low": rate * 0.3,
        "false_alarms_per_day_high": rate * 2.1 + 2125,
        "false_alarm_bound_per_day": 5760.0,
        "budget_supported": False,
        "time_in_alarm_ratio": len(false) * 0.02,
        "delay_median_s": delays[len(delays) // 2] if half and delays else None,
        "delay_p90_s": delays[-1] if len(hits) == len(impact) else None,
        "auc_pr": None if name == "constant" else round(0.2 + 0.15 * len(hits), 3),
        "vus_pr": None if name == "constant" else round(0.22 + 0.13 * len(hits), 3),
        "placebo_alarm_ratio": sum(result.outcome == "detected" for result in found if result.trial in {"t03", "t07"}) / 2,
        "recall_by": [
            {
                "kind": trial.kind,
                "intensity": trial.intensity,
                "impact_events": 1,
                "events_detected": int(any(hit.trial == trial.id for hit in hits)),
            }
            for trial in impact
        ],
        "status": "ok",
    }


def run_object(rows: list[dict[str, Any]], views: list[RecordingView]) -> dict[str, Any]:
    """The public object of the run."""
    return {
        "run": "20261104-101112-demo",
        "parent": None,
        "status": "complete",
        "report": None,
        "profile": "short",
        "recordings": [
            {
                "name": view.name,
                "role": view.role,
                "id": sha256_text(view.name)[:12],
                "samples": 612 * int(view.span.length_s),
                "series": 612,
                "gaps": len(view.gaps),
                "degraded_s": sum(item.end_s - item.start_s + 1 for item in view.degraded),
            }
            for view in views
        ],
        "faults": [trial.to_json() for view in views for trial in view.trials],
        "detectors": rows,
        "ranking": [
            {
                "method": method,
                "level": level,
                "onset": onset,
                "ac_at_1": first,
                "ac_at_3": min(1.0, first + 0.2),
                "avg_at_5": min(1.0, first + 0.25),
                "mrr": min(1.0, first + 0.1),
                "chance": 0.125 if level == "service" else 0.02,
            }
            for level in ("service", "metric")
            for onset in ("own", "injected")
            for method, first in (("robust_median", 0.8), ("n_sigma", 0.6), ("random", 0.12 if level == "service" else 0.02))
        ],
        "stages": [
            {"name": "recording:training", "outcome": "ran", "why": "no recording with this key", "seconds": 71.2},
            {"name": "matrix", "outcome": "cached", "why": "same inputs, settings and code", "seconds": 0.1},
            {"name": "evaluation", "outcome": "ran", "why": "evaluation.false_alarms_per_day changed", "seconds": 3.4},
        ],
        "prefect": {"flow_run": None, "server": "ephemeral"},
    }


def lineage(digests: dict[str, str]) -> tuple[LineageStage, ...]:
    """Three recordings and what was computed from them."""
    versions = {"numpy": "2.4.6", "scipy": "1.17.0", "scikit-learn": "1.8.0", "pyarrow": "22.0.0"}
    code = sha256_text("code")
    recorded = tuple(
        LineageStage(f"recording:{name}", "recording", digests[name], settings={"duration_s": 60, "role": name})
        for name in ("training", "calibration", "faults")
    )
    computed = tuple(
        LineageStage(stage, stage, digests[stage], tuple(digests[name] for name in made), code, {"profile": "short"}, versions)
        for stage, made in (
            ("matrix", ("training", "calibration", "faults")),
            ("models", ("matrix",)),
            ("scores", ("models", "matrix")),
            ("evaluation", ("scores", "faults")),
            ("ranking", ("scores", "matrix")),
        )
    )
    return recorded + computed
