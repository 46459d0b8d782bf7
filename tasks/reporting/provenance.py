"""Where the numbers come from: recordings and their holes, stages, artifacts, and the thread between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.base.clock import iso
from tasks.reporting.grid import Cell, Grid, Heading, Row, capped, text, undefined
from tasks.reporting.model import LineageStage, RecordingView, ReportData
from tasks.reporting.wording import UNDEFINED, anchor, listed, seconds, shown


def short(digest: str) -> Cell:
    """The first twelve digits of a digest, linked to its stage."""
    return Cell(shown(digest, 200)[:12], digest, why=shown(digest), link=anchor("artifact", digest)) if digest else undefined("no artifact")


def recordings(data: ReportData) -> Grid:
    """One row a recording: how long, how much, how whole."""
    facts = {str(row.get("name")): row for row in data.run.get("recordings") or ()}
    headings = ("Recording", "Role", "Started (UTC)", "Length", "Samples", "Series", "Gaps", "Degraded", "State")
    rows = tuple(_recording(view, facts.get(view.name, {}), data.sources) for view in data.recordings)
    return Grid(
        "recordings",
        "Recordings: one is one deployment, from start to teardown"
        + (", or a stretch of time that was imported" if any(view.imported_from for view in data.recordings) else ""),
        tuple(Heading(words, numeric=3 <= index <= 7) for index, words in enumerate(headings)),
        rows,
        empty="nothing was recorded",
    )


def _recording(view: RecordingView, facts: Mapping[str, Any], sources: Mapping[str, str]) -> Row:
    samples, series, gaps, degraded = facts.get("samples"), facts.get("series"), facts.get("gaps"), facts.get("degraded_s")
    holes = len(gaps) if isinstance(gaps, list | tuple) else gaps
    digest = sources.get(f"recording:{view.name}", "")
    return Row(
        (
            text(shown(view.name), link=anchor("artifact", digest) if digest else ""),
            text(shown(view.role)),
            text((iso(view.span.start_s) or "")[:19].replace("T", " ")),
            Cell(seconds(view.span.length_s), view.span.length_s),
            *(undefined("it was not counted") if value is None else Cell(f"{value:,}", value) for value in (samples, series, holes)),
            undefined("nobody watched load and machine" if view.imported_from else "it was not counted")
            if degraded is None
            else Cell(seconds(float(degraded)), degraded, tone="bad" if degraded else ""),
            text(shown(view.note) or UNDEFINED),
        )
    )


def holes(data: ReportData) -> Grid:
    """Gaps in the samples and degraded seconds, by recording and time."""
    found = [(view, gap.start_s, gap.end_s, "gap", gap.target, gap.note) for view in data.recordings for gap in view.gaps]
    found += [(view, span.start_s, span.end_s + 1, "degraded", "", span.reason) for view in data.recordings for span in view.degraded]
    rows = tuple(
        Row(
            (
                text(shown(view.name)),
                text(what),
                Cell(seconds(start_s - view.span.start_s), start_s - view.span.start_s),
                Cell(seconds(end_s - start_s), end_s - start_s),
                text(shown(target) or UNDEFINED),
                text(shown(why) or UNDEFINED),
            )
        )
        for view, start_s, end_s, what, target, why in found
    )
    headings = (Heading("Recording"), Heading("What"), Heading("At", True), Heading("Length", True), Heading("Target"), Heading("Why"))
    return capped(Grid("holes", "Gaps and degraded seconds", headings, rows, empty="no gap, no degraded second"))


def stages(data: ReportData) -> Grid:
    """What ran and what was reused, and why."""
    rows = tuple(
        Row(
            (
                text(shown(str(row.get("name")))),
                text("reused" if row.get("outcome") == "cached" else shown(str(row.get("outcome")))),
                undefined("it was not timed") if row.get("seconds") is None else Cell(seconds(float(row["seconds"])), row["seconds"]),
                text(shown(str(row.get("why") or "")) or UNDEFINED),
            )
        )
        for row in data.run.get("stages") or ()
    )
    return capped(Grid("stages", "Stages of this run", (Heading("Stage"), Heading("Outcome"), Heading("Took", True), Heading("Why")), rows))


PARTS = {
    "detectors": "Detector table, recall by kind",
    "events": "Misses, false alarms, detector by trial",
    "ranking": "Ranking table",
    "recording": "Load, trials and gaps of recording",
    "matrix": "Metrics of recording",
    "scores": "Scores of",
}


def origins(data: ReportData) -> Grid:
    """From a part of the page to the artifact whose bytes it shows; parts of one artifact share a row."""
    parts: dict[tuple[str, str], list[str]] = {}
    for key, digest in data.sources.items():
        kind, _, name = key.partition(":")
        parts.setdefault((kind, digest), []).append(shown(name))
    order = {kind: place for place, kind in enumerate(PARTS)}
    rows = tuple(
        Row((text(f"{PARTS.get(kind, shown(kind))} {listed(names)}".strip()), short(digest)))
        for (kind, digest), names in sorted(parts.items(), key=lambda item: (order.get(item[0][0], len(order)), item[1]))
    )
    headings = (Heading("Part of this page"), Heading("Artifact"))
    return capped(Grid("origins", "Where each number comes from", headings, rows, empty="the caller named no artifact"))


def pretty(value: Mapping[str, Any]) -> str:
    """Settings as readable JSON, sorted, without a failure on values that JSON does not know."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str)


def made_from(stage: LineageStage) -> tuple[Cell, ...]:
    """The digests *stage* was made from, as links."""
    return tuple(short(digest) for digest in stage.made_from)
