"""What a schedule of faults has to know: the app, and how long it takes until all is quiet again."""

from __future__ import annotations

from tasks.app.model import App
from tasks.cluster.config import ClusterConfig, LocalCluster
from tasks.faults.catalogue import Provider
from tasks.faults.schedule import AppFacts, Settling
from tasks.features.config import FeaturesConfig
from tasks.load.config import JourneySet


def app_facts(app: App, journeys: JourneySet, cluster: ClusterConfig | None = None) -> AppFacts:
    """What a schedule of faults has to know of *app* under *journeys* in *cluster*; None: on this machine."""
    endpoints = {request.endpoint for journey in journeys.journeys for request in journey.requests}
    return AppFacts(
        services=app.names,
        entry=(app.entry,),
        reached=app.reached(endpoints),
        readiness_s=dict.fromkeys(app.names, app.readiness_s),
        provider=provider_of(cluster),
    )


def provider_of(cluster: ClusterConfig | None) -> Provider:
    """Which kinds of faults can be done there."""
    return "local" if cluster is None or isinstance(cluster, LocalCluster) else "kubernetes"


def judging_features(interval_s: float, rate_window_s: float | None = None) -> FeaturesConfig:
    """Grid and rate window by which faults are witnessed: one row a scrape, rates over five where nothing else is said."""
    return FeaturesConfig(profile="short", grid_s=interval_s, rate_window_s=5 * interval_s if rate_window_s is None else rate_window_s)


def judging_settling(interval_s: float, rate_window_s: float | None = None) -> Settling:
    """What has to fit into the quiet between two faults for the recorder's own judgement of them."""
    features = judging_features(interval_s, rate_window_s)
    return Settling(features.rate_window_s, 3 * features.grid_s, 5 * features.grid_s)
