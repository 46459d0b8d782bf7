"""The data certificate of each recording: what should be there, what is, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.reporting.grid import Cell, Grid, Heading, Row, text, undefined
from tasks.reporting.model import RecordingView, ReportData
from tasks.reporting.wording import anchor, plural, shown

COUNTS = (
    ("Samples", "samples_found", "samples_expected", "found; expected of the scrapes that worked, beneath"),
    ("Scrapes", "scrapes_found", "scrapes_expected", "found; planned, beneath"),
)
ODD = (
    ("Failed", "scrapes_failed", "scrapes that got no usable reply: data, and no gap"),
    ("Resets", "counter_resets", "counters that began anew"),
    ("Duplicates", "duplicates", "samples of a moment that its series had already; left out"),
    ("Late", "out_of_order", "samples older than the newest of their series; kept"),
    ("Not finite", "non_finite", "NaN and infinities; kept"),
)


def certificates(data: ReportData) -> Grid:
    """One row a recording."""
    numeric = [Heading(label, numeric=True, meaning=meaning) for label, _, _, meaning in COUNTS]
    numeric += [Heading(label, numeric=True, meaning=meaning, minor=1) for label, _, meaning in ODD]
    headings = (Heading("Recording"), *numeric, Heading("Longest scrape", numeric=True), Heading("Source"))
    rows = tuple(_row(view, view.certificate, data.sources) for view in data.recordings if view.certificate is not None)
    return Grid("certificates", "Data certificates: how whole the samples are", headings, rows, empty="no recording has one")


def _row(view: RecordingView, told: Mapping[str, Any], sources: Mapping[str, str]) -> Row:
    digest = sources.get(f"recording:{view.name}", "")
    counted = [
        Cell(f"{told[found]:,}", told[found], sub=f"of {told[expected]:,}", tone="bad" if told[found] < told[expected] else "")
        for _, found, expected, _ in COUNTS
    ]
    odd = [Cell(f"{told[name]:,}", told[name]) for _, name, _ in ODD]
    duration = told.get("scrape_duration_s")
    longest = undefined("no scrape told how long it took") if not duration else Cell(f"{duration[1] * 1000:,.0f} ms", duration[1])
    return Row((text(shown(view.name), link=anchor("artifact", digest) if digest else ""), *counted, *odd, longest, _source(told)))


def _source(told: Mapping[str, Any]) -> Cell:
    server = told.get("server")
    if not server:
        return text("own scrapes")
    warned = f"; {plural(len(server['warnings']), 'warning')}" if server["warnings"] else ""
    watched = "; cluster watched beside it" if server.get("watched") else ""
    sub = f"{server['way']}; clock {server['clock_offset_s']:+.3f} s{warned}{watched}"
    return text(f"Prometheus {shown(str(server['version']), 20)}", sub=sub, why=shown("; ".join(server["warnings"])))
