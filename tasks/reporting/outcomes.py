"""What each detector made of each trial, from the results of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tasks.base.trials import Outcome, Trial
from tasks.reporting.model import EventResult


def event_results(results: Iterable[Mapping[str, Any]], trials: Sequence[Trial]) -> tuple[EventResult, ...]:
    """
    One for each detector and trial of which it is known: events detected or not, alarms at placebos and benign changes, the rest why not.

    Args:
        results: The rows of ``evaluation.json``; those from before there were benign changes know of none.
        trials: Of all recordings.
    """
    return tuple(result for row in results for result in _of_detector(row, trials))


def _of_detector(row: Mapping[str, Any], trials: Sequence[Trial]) -> Iterator[EventResult]:
    events = {item["trial"]: item for item in row["detections"]}
    others = {item["trial"]: item for item in (*row["placebos"], *row.get("benign", {}).get("each", ()))}
    for trial in trials:
        if (item := events.get(trial.id)) is not None:
            yield _event(row["name"], trial.id, item)
        elif (other := others.get(trial.id)) is not None:
            yield EventResult(row["name"], trial.id, "detected" if other["alarmed"] else "missed", reason=_said(trial, other["alarmed"]))
        elif row["detections"] and not trial.placebo and trial.outcome is not Outcome.IMPACT:
            what = "change" if trial.benign else "fault"
            yield EventResult(row["name"], trial.id, "not-counted", None, f"the {what} was {trial.outcome}")


def _event(detector: str, trial: str, item: Mapping[str, Any]) -> EventResult:
    if item["detected"]:
        return EventResult(detector, trial, "detected", item["delay_s"])
    if item["masked"]:
        return EventResult(detector, trial, "masked", item["delay_s"], "an alarm was open already")
    return EventResult(detector, trial, "missed", item["delay_s"], "no alarm opened in its window")


def _said(trial: Trial, alarmed: bool) -> str:
    """What an alarm, or none, means at a placebo or a benign change."""
    if trial.outcome is Outcome.BENIGN_IMPACT:
        return "users noticed this benign change: an alarm may be right"
    what = "a benign change" if trial.benign else "a placebo"
    return f"an alarm was open during {what}" if alarmed else "no alarm, as it should be"
