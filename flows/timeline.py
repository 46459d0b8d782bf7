"""What an experiment will do, when: pure, from the document alone. Refuses what cannot give an honest answer."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.consistency import settling
from flows.document import Experiment
from tasks.app.files import app_of
from tasks.evaluation.config import grace_s
from tasks.faults.schedule import PlannedTrial, length_s, plan_trials
from tasks.load.journey import journeys_of, shipped_folders
from tasks.load.shapes import curve_of, planned_journeys
from tasks.recordings.length import DEPLOY_S, measured_s
from tasks.recordings.settling import app_facts

TRAINING_S = 15.0
"""Training, scoring, evaluation and report of a short run, and a server that starts, measured on two cores."""
CALMING_S = 8.0
"""How much longer than its quiet time a fault takes until the app is back to normal, retries included; mean of two runs on two cores."""
SERIES_A_SERVICE = 115
"""Samples a scrape for each service of the demo shop, accounting, proxy and machine included; measured."""
BYTES_A_SAMPLE = 4.5
"""On disk: recording (short chunks, load and logs included) and matrix; measured."""
BYTES_A_RUN = 10_000_000
"""On disk, however short the run: models, scores, ranking, report, and Prefect's database; measured."""


@dataclass(frozen=True, slots=True)
class PlannedRecording:
    """One recording: when it starts after the run's start, its parts in seconds, its load and its trials."""

    name: str
    role: str
    start_s: float
    warmup_s: float
    length_s: float
    users_peak: float
    journeys: float
    trials: tuple[PlannedTrial, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All recordings, and what they will cost."""

    recordings: tuple[PlannedRecording, ...]
    eta_s: float
    samples: int
    disk_bytes: int
    grace_s: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def timeline(document: Experiment, source: str) -> Timeline:
    """
    Lay the experiment out.

    Raises:
        DocumentError: It could be recorded but not believed: every reason is listed.
    """
    grace = grace_s(document.features.rate_window_s, document.features.grid_s)
    if not document.recorded:
        return Timeline((), TRAINING_S, 0, BYTES_A_RUN, grace)
    app, load = app_of(document.app), document.traffic()
    curve = curve_of(load.users, (Path(source).parent, *shipped_folders()))
    trials: tuple[PlannedTrial, ...] = ()
    if document.faults is not None:
        trials = plan_trials(document.faults, app_facts(app, journeys_of(load), document.cluster), settling(document), document.seed)
    planned, clock = [], 0.0
    for entry in document.recorded:
        length = measured_s(entry, None)
        if entry.role == "faults" and document.faults is not None:
            length = length_s(trials, document.faults)
        begin = clock + DEPLOY_S + entry.warmup_s
        journeys = planned_journeys(curve, load.journeys_per_user_per_s, entry.warmup_s, entry.warmup_s + length)
        planned.append(
            PlannedRecording(
                entry.name, entry.role, begin, entry.warmup_s, length, curve.peak, journeys, trials if entry.role == "faults" else ()
            )
        )
        clock = begin + length + CALMING_S * len(planned[-1].trials)
    scrapes = sum(one.length_s + one.warmup_s + CALMING_S * len(one.trials) for one in planned) / document.telemetry.interval_s
    samples = int(scrapes * SERIES_A_SERVICE * len(app.services))
    return Timeline(tuple(planned), clock + TRAINING_S, samples, BYTES_A_RUN + int(samples * BYTES_A_SAMPLE), grace)
