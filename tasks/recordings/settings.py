"""What decides a recording: the sections of the document that it depends on, and the data files that they name."""

from __future__ import annotations

import json
from typing import Any

from tasks.app.config import AppConfig
from tasks.app.files import app_of
from tasks.app.key import app_key
from tasks.app.model import App
from tasks.base.files import canonical_json
from tasks.base.model import Strict
from tasks.cluster.config import ClusterConfig, LocalCluster
from tasks.faults.config import FaultsConfig
from tasks.load.config import JourneySet, LoadConfig
from tasks.load.journey import journeys_of, shipped_folders
from tasks.load.shapes import curve_of
from tasks.recordings.config import RecordingEntry
from tasks.telemetry.config import TelemetryConfig


class RecordingSettings(Strict):
    """Everything that can change a measurement, and nothing else: the content of a recording's cache key."""

    cluster: ClusterConfig
    """Where."""
    app: AppConfig
    """What."""
    load: LoadConfig
    """Used how."""
    telemetry: TelemetryConfig
    """Sampled how."""
    entry: RecordingEntry
    """Name, role and length."""
    faults: FaultsConfig | None
    """Broken how; None but for the role ``faults``."""
    seed: int
    """Fixes order, pauses and journeys."""

    def resolved_app(self) -> App:
        """The app, read from its file where it comes with the product."""
        return app_of(self.app)

    def resolved_journeys(self) -> JourneySet:
        """The journeys, read from their file where they come with the product."""
        return journeys_of(self.load)

    @classmethod
    def of_key(cls, key: dict[str, Any]) -> RecordingSettings:
        """From the settings of a job."""
        return cls.model_validate_json(canonical_json({name: key[name] for name in cls.model_fields}))


def recording_settings(
    *,
    cluster: Any,
    app: Any,
    load: LoadConfig,
    telemetry: TelemetryConfig,
    entry: RecordingEntry,
    faults: FaultsConfig | None,
    seed: int,
) -> dict[str, Any]:
    """
    The settings of a recording's job, with the content of the app and journey files that come with the product.

    ``reuse_incomplete`` is left at its default: it decides about reuse, not about the measurement.

    Raises:
        DocumentError: A file that is named is missing or not valid.
    """
    entry = entry.model_copy(update={"reuse_incomplete": False})
    settings = RecordingSettings(cluster=cluster, app=app, load=load, telemetry=telemetry, entry=entry, faults=faults, seed=seed)
    measured = settings.model_dump(mode="json", exclude={"entry": {"imported"}})  # never of what is made; keys are those of before
    in_pods = not isinstance(settings.cluster, LocalCluster)
    measured["app"] = app_key(settings.app, in_pods=in_pods)
    users = curve_of(load.users, shipped_folders())
    files = {
        "app": app_key(settings.resolved_app().settings, in_pods=in_pods),
        "journeys": settings.resolved_journeys().model_dump(mode="json"),
        "users": {"times_s": users.times_s, "users": users.users, "held": users.held, "period_s": users.period_s},
    }
    found: dict[str, Any] = json.loads(canonical_json({**measured, "files": files}))
    return found  # as JSON reads it, so that it compares equal with what a manifest holds
