"""The trials of a recording, from the document's section and what is known of the app."""

from __future__ import annotations

from dataclasses import replace

from tasks.app.model import App
from tasks.faults.schedule import PlannedTrial, plan_trials
from tasks.recordings.settings import RecordingSettings
from tasks.recordings.settling import app_facts, judging_settling


def planned_trials(settings: RecordingSettings, app: App) -> tuple[PlannedTrial, ...]:
    """
    The trials in order; the same for the same settings.

    Raises:
        DocumentError: The plan is refused; every reason is listed.
    """
    if settings.faults is None:
        return ()
    settling = judging_settling(settings.telemetry.interval_s, settings.telemetry.rate_window_s)
    planned = plan_trials(settings.faults, app_facts(app, settings.resolved_journeys(), settings.cluster), settling, settings.seed)
    name = settings.entry.name
    return planned if name == "faults" else tuple(replace(trial, id=f"{name[:50]}-{trial.id}") for trial in planned)
