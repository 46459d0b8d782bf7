"""
The report: one HTML file that opens from a disk, asks nobody for anything, and is the same bytes for the same input.

Style and script stand in the page and are allowed by their hashes alone, so that nothing smuggled in by a label can run: a second
wall behind the template's escaping and :func:`tasks.reporting.wording.shown`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.base.clock import iso
from tasks.base.trials import Outcome
from tasks.reporting import clusters, evidence, figures, provenance, results
from tasks.reporting.certificates import certificates
from tasks.reporting.figures import Figure
from tasks.reporting.glossary import GLOSSARY
from tasks.reporting.grid import Cell
from tasks.reporting.model import EventResult, LineageStage, RecordingView, ReportData
from tasks.reporting.verdict import verdict
from tasks.reporting.wording import UNDEFINED, anchor, plural, seconds, shown, visible

TEMPLATES = Path(__file__).with_name("templates")
LONGEST = 20_000
"""Characters of a document or of settings that are shown."""
CARDS = 60
"""Trials drawn one by one at most."""


def render(data: ReportData) -> str:
    """
    The page.

    Undefined figures stand as ``-`` with the reason as a tooltip. Foreign text is escaped, made visible and cut. Series are drawn
    by the lowest and highest point of each pixel-wide span. Below 3 MB for any length of recording.
    """
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        _environment()
        .get_template("page.html.j2")
        .render(data=data, policy=policy, style=Markup(style), script=Markup(script), **_parts(data))  # noqa: S704 - our own two files
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, pretty=provenance.pretty, anchor=lambda text, kind: anchor(kind, text))
    return environment


def _harmless(value: Any) -> Any:
    """Any text on its way into the page that is not our own markup: visible, and never longer than LONGEST."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value, multiline=True) if len(value) <= LONGEST else shown_lines(value)
    return value


def shown_lines(value: str) -> str:
    """The first LONGEST characters of a text of several lines, and how long it was."""
    return f"{visible(value[:LONGEST], multiline=True)}\n… [{len(value):,} characters in all]"


def _parts(data: ReportData) -> dict[str, Any]:
    order = evidence.detector_order(data)
    tried = [view for view in data.recordings if view.trials or view.role in {"faults", "hold-out"}]
    return {
        "verdict": verdict(data.run, data.budget_per_day),
        "facts": _facts(data),
        "detectors": results.detectors(data.run, data.sources.get("detectors", "")),
        "kinds": results.recall_by_kind(data.run, data.sources.get("detectors", "")),
        "ranking": results.ranking(data.run, data.sources.get("ranking", "")),
        "recordings": provenance.recordings(data),
        "events": evidence.events(data),
        "misses": evidence.misses(data),
        "false_alarms": evidence.false_alarms(data),
        "clusters": clusters.grids(data),
        "certificates": certificates(data),
        "holes": provenance.holes(data),
        "stages": provenance.stages(data),
        "origins": provenance.origins(data),
        "runs": [RunPart.of(view) for view in data.recordings],
        "cards": _cards(data, tried),
        "uncarded": max(0, sum(len(view.trials) for view in tried) - CARDS),
        "overviews": [(view, *figures.overview(view)) for view in data.recordings if view.metrics is not None],
        "scores": _scores(data, order, {view.name for view in tried}),
        "quiet_scores": _scores(data, order, {view.name for view in data.recordings} - {view.name for view in tried}),
        "made_from": provenance.made_from,
        "short": provenance.short,
        "glossary": GLOSSARY,
        "benign": any(trial.benign for view in data.recordings for trial in view.trials),
        "lineage": _lineage(data),
        "targets": {anchor("artifact", stage.digest) for stage in data.lineage},
    }


@dataclass(frozen=True, slots=True)
class RunPart:
    """One recording under "What was run"."""

    view: RecordingView
    timeline: Markup | None
    load: tuple[Figure, ...]
    trials: Any

    @classmethod
    def of(cls, view: RecordingView) -> RunPart:
        """Draw *view*."""
        return cls(view, figures.timeline(view), figures.load(view), evidence.trials(view) if view.trials else None)


@dataclass(frozen=True, slots=True)
class Card:
    """One trial under "Metrics": its number, words and plots, and which detectors noticed it."""

    index: int
    title: str
    outcome: str
    tone: str
    note: str
    plots: tuple[Figure, ...]
    noticed: tuple[str, ...]
    others: tuple[str, ...]
    fault: bool
    """Neither a placebo nor benign: an alarm would be right."""
    uncounted: str
    """Why the trial counts for no detector."""


def _cards(data: ReportData, views: list[RecordingView]) -> list[Card]:
    floors = {str(row["name"]) for row in data.run.get("detectors") or () if results.is_floor(row)}
    cards: list[Card] = []
    for view in views:
        for index, trial in enumerate(view.trials, 1):
            found = [result for result in data.events if result.trial == trial.id and result.detector not in floors]
            hits = sorted((result for result in found if result.outcome == "detected"), key=lambda hit: (hit.delay_s or 0.0, hit.detector))
            words, tone = ("placebo", "quiet") if trial.placebo else evidence.OUTCOMES[trial.outcome or Outcome.NOT_INJECTED]
            cards.append(
                Card(
                    index,
                    evidence.title(trial),
                    words,
                    tone,
                    shown(trial.note),
                    figures.trial_metrics(view, trial, data.edges) if len(cards) < CARDS else (),
                    tuple(_hit(hit) for hit in hits),
                    tuple(shown(result.detector, 40) for result in found if result.outcome in {"missed", "masked"}),
                    trial.fault,
                    next((shown(result.reason) for result in found if result.outcome == "not-counted"), ""),
                )
            )
    return cards[:CARDS]


def _hit(hit: EventResult) -> str:
    """A detector, and how soon it noticed where that says anything, without a break between the two."""
    words = shown(hit.detector, 40) if hit.delay_s is None else f"{shown(hit.detector, 40)} {seconds(hit.delay_s)}"
    return words.replace(" ", "\u00a0")


def _scores(data: ReportData, order: list[str], names: set[str]) -> list[tuple[RecordingView, tuple[Figure, ...]]]:
    place = {name: index for index, name in enumerate(order)}
    groups = []
    for view in data.recordings:
        histories = [item for item in data.scores if item.recording == view.name and view.name in names]
        histories.sort(key=lambda item: place.get(item.detector, len(place)))
        if histories:
            groups.append((view, tuple(figures.score(view, item) for item in histories)))
    return groups


def _degraded(known_s: list[float]) -> Cell:
    """Degraded seconds of the recordings of which somebody watched load and machine."""
    if not known_s:
        return Cell(UNDEFINED, sub="nobody watched load and machine")
    return Cell(seconds(sum(known_s)), sub="of load, telemetry or machine", tone="bad" if any(known_s) else "")


def _lineage(data: ReportData) -> list[tuple[LineageStage, str]]:
    """Each stage with the id that links point at; a digest that two stages share belongs to the first."""
    first: dict[str, int] = {}
    for place, stage in enumerate(data.lineage):
        first.setdefault(stage.digest, place)
    return [(stage, anchor("artifact", stage.digest) if first[stage.digest] == place else "") for place, stage in enumerate(data.lineage)]


def _facts(data: ReportData) -> tuple[tuple[str, Cell], ...]:
    trials = [trial for view in data.recordings for trial in view.trials]
    real = [trial for trial in trials if trial.fault]
    benign = [trial for trial in trials if trial.benign]
    noticed = sum(trial.outcome is Outcome.BENIGN_IMPACT for trial in benign)
    hurt = sum(trial.outcome is Outcome.IMPACT for trial in real)
    degraded = [float(row["degraded_s"]) for row in data.run.get("recordings") or () if row.get("degraded_s") is not None]
    imported = sum(view.imported_from is not None for view in data.recordings)
    recorded = sum(view.span.length_s for view in data.recordings)
    started = min((view.span.start_s for view in data.recordings), default=None)
    return (
        ("Faults", Cell(f"{len(real)}", sub=f"{hurt} hurt users")),
        ("Placebos", Cell(f"{sum(trial.placebo for trial in trials)}", sub="walk the whole way, change nothing")),
        *((("Benign changes", Cell(f"{len(benign)}", sub=f"users noticed {noticed}")),) if benign else ()),
        ("Recorded", Cell(seconds(recorded), sub=f"in {plural(len(data.recordings), 'recording' if imported else 'deployment')}")),
        ("Degraded", _degraded(degraded)),
        ("Started", Cell((iso(started) or "-")[11:16] or "-", sub=f"UTC, {(iso(started) or '-')[:10]}")),
    )
