"""The trials of a recording, from the document's section and what is known of the app."""

from __future__ import annotations

from tasks.app.model import App
from tasks.faults.schedule import AppFacts, PlannedTrial, Settling, plan_trials
from tasks.load.config import JourneySet
from tasks.recordings.live import judging_features
from tasks.recordings.settings import RecordingSettings


def app_facts(app: App, journeys: JourneySet) -> AppFacts:
    """What a schedule of faults has to know of *app* under *journeys*."""
    endpoints = {request.endpoint for journey in journeys.journeys for request in journey.requests}
    return AppFacts(
        services=app.names,
        entry=(app.entry,),
        reached=app.reached(endpoints),
        readiness_s=dict.fromkeys(app.names, app.readiness_s),
    )


def planned_trials(settings: RecordingSettings, app: App) -> tuple[PlannedTrial, ...]:
    """
    The trials in order; the same for the same settings.

    Raises:
        DocumentError: The plan is refused; every reason is listed.
    """
    if settings.faults is None:
        return ()
    features = judging_features(settings.telemetry.scrape.interval_s)
    settling = Settling(features.rate_window_s, 3 * features.grid_s, 5 * features.grid_s)
    return plan_trials(settings.faults, app_facts(app, settings.resolved_journeys()), settling, settings.seed)
