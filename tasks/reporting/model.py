"""
What a report is made of. Plain frozen records: the caller gathers them from the artifacts, :mod:`tasks.reporting.page` draws them.

All times are wall seconds since 1970, UTC. NaN in an array and None in a field mean "undefined": drawn as a hole, shown as ``-``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.base.intervals import Interval
from tasks.base.trials import Trial
from tasks.reporting.cluster_facts import ClusterFacts

Floats = NDArray[np.float64]
EventOutcome = Literal["detected", "missed", "masked", "not-counted"]
Level = Literal["info", "warning"]


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """Load of one recording, one entry a second: every array has shape ``(n_seconds,)``, NaN where nothing was measured."""

    second: Floats
    users_planned: Floats
    users_present: Floats
    journeys_planned: Floats
    """Planned journey starts a second."""
    journeys_completed: Floats
    """Journeys that came to their end in that second."""
    requests_per_s: Floats
    error_ratio: Floats
    """(5xx + transport errors) / requests; a declined order is no error."""
    p95_from_send_s: Floats
    """95th percentile of latency, measured from the sending of the request."""
    p95_from_intended_s: Floats
    """The same, measured from the start that the schedule intended."""


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A column of the feature matrix: *name* is ``service/metric``."""

    name: str
    service: str
    metric: str
    unit: str


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """
    Selected metrics of one recording on its regular grid.

    *time_s* has shape ``(n_rows,)``, *values* and *valid* have ``(n_rows, n_columns)``; invalid cells are not drawn.
    """

    time_s: Floats
    columns: tuple[MetricColumn, ...]
    values: NDArray[np.floating[Any]]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the samples of *target*, found in the data."""

    target: str
    start_s: float
    end_s: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Degraded:
    """Seconds in which generator, telemetry or machine fell short, both ends included."""

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class RecordingView:
    """One recording: *name* is the key that joins it to the run object's ``recordings``, to scores and to false alarms."""

    name: str
    role: str
    span: Interval
    trials: tuple[Trial, ...] = ()
    load: LoadHistory | None = None
    metrics: MetricHistory | None = None
    gaps: tuple[Gap, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    note: str = ""
    """Complete or not, reused or recorded now, and why."""
    certificate: Mapping[str, Any] | None = None
    """Its data certificate."""
    imported_from: str | None = None
    """Address of the server that it came from: nobody here made its load or watched its machine; None: it was recorded here."""
    cluster: ClusterFacts | None = None
    """The cluster that its app ran on; None: it ran on none."""


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """Scores of one detector on one recording, shape ``(n_rows,)``: the higher, the more anomalous; NaN: the row has no score."""

    detector: str
    recording: str
    time_s: Floats
    score: Floats
    threshold: float | None
    alarms: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class EventResult:
    """What one detector made of one trial."""

    detector: str
    trial: str
    outcome: EventOutcome
    delay_s: float | None = None
    """From `acknowledged` to the opening of the alarm; None unless detected."""
    reason: str = ""
    """Why it was missed, masked or not counted."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """A column's share of an alarm's score (0-1), largest first."""

    column: str
    share: float


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """An alarm outside the windows of real faults."""

    detector: str
    recording: str
    open_s: float
    close_s: float
    contributors: tuple[Contribution, ...] = ()
    note: str = ""
    """What was going on: inside a placebo, a degraded second, just after a fault."""


@dataclass(frozen=True, slots=True)
class LineageStage:
    """The artifact one stage made or reused, and all that decided its bytes."""

    stage: str
    kind: str
    digest: str
    made_from: tuple[str, ...] = ()
    """Digests of the artifacts it was made from."""
    fingerprint: str | None = None
    """Of the code that computed it; None for a recording, which is measured, not computed."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence the reader has to know before believing a number."""

    text: str
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class Command:
    """A line to type, and what it does."""

    line: str
    does: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """
    Everything on the page.

    *run* is the public object of ``tidegauge runs show ID --json``: ``run, parent, status, profile, recordings, faults,
    detectors, ranking, stages, prefect``. *sources* names the artifact digest behind each part of the page, by the keys of
    :data:`SOURCES` and by ``recording:NAME``, ``matrix:NAME``, ``scores:DETECTOR``.
    """

    run: Mapping[str, Any]
    name: str
    recordings: tuple[RecordingView, ...] = ()
    scores: tuple[ScoreHistory, ...] = ()
    events: tuple[EventResult, ...] = ()
    false_alarms: tuple[FalseAlarm, ...] = ()
    lineage: tuple[LineageStage, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    power: str = ""
    """What a run of this size can and cannot tell apart, in one sentence."""
    budget_per_day: float | None = None
    """False alarms a day that the thresholds were asked to keep to."""
    edges: tuple[tuple[str, str], ...] = ()
    """(caller, callee), as the app declares them."""
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    document: str = ""
    """The resolved experiment document, as text."""


SOURCES = ("detectors", "events", "ranking")
"""Keys of :attr:`ReportData.sources` that belong to a table of the page."""
