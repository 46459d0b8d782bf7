"""Load changes in tables, in CSV and on the page: the ratio with both rates, and only where the load did change."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from tasks.reporting import results, tables
from tasks.reporting.page import render
from tests.reporting.structure import parse
from tests.reporting.synthetic import report_data

CHANGED = {
    "load_changing_s": 1800.0,
    "load_steady_s": 36_000.0,
    "false_alarms_load_changing_per_day": 480.0,
    "false_alarms_load_steady_per_day": 24.0,
    "load_change_ratio": 20.0,
}
QUIET = {**CHANGED, "false_alarms_load_steady_per_day": 0.0, "load_change_ratio": None}
STEADY = {**CHANGED, "load_changing_s": 0.0, "false_alarms_load_changing_per_day": None, "load_change_ratio": None}
UNKNOWN = dict.fromkeys(CHANGED)
BENIGN = {"benign_changes": 4, "benign_changes_alarmed": 1, "benign_alarm_ratio_low": 0.0063, "benign_alarm_ratio_high": 0.806}


def row(name: str, **more: Any) -> dict[str, Any]:
    """A row of the run object."""
    return {"name": name, "family": "x", "impact_events": 6, "events_detected": 1, "false_alarms_per_day": 0.0, "status": "ok", **more}


def test_the_table_has_the_column_where_the_load_changed():
    """The ratio, and below it both rates with the time behind each; a detector that failed has none."""
    grid = results.detectors({"detectors": [row("a", **CHANGED), row("b", status="timed out", **UNKNOWN)]})
    cell = grid.rows[0].cells[-1]

    assert grid.headings[-1].label == "Load changes"
    assert (cell.text, cell.value, cell.sub) == ("20", 20.0, "480 in 30 min, 24 in 10 h")
    assert grid.rows[1].cells[-1].undefined
    assert {len(line.cells) for line in grid.rows} == {len(grid.headings)}


def test_rates_are_shown_where_their_ratio_is_undefined():
    """No false alarm under steady load: nothing to divide by, and still something to say."""
    cell = results.detectors({"detectors": [row("a", **QUIET)]}).rows[0].cells[-1]

    assert (cell.undefined, cell.value, cell.sub) == (True, None, "480 in 30 min, 0 in 10 h")
    assert cell.why.startswith("undefined: ")


@pytest.mark.parametrize("more", [{}, STEADY, UNKNOWN], ids=["a run from before", "steady", "imported"])
def test_the_table_has_no_such_column_elsewhere(more: dict[str, Any]):
    """Where the load did not change, and where nobody kept it, the table is what it was."""
    assert results.detectors({"detectors": [row("a", **more)]}).headings == results.DETECTOR_HEADINGS


def test_it_stands_beside_benign_changes():
    """Each column has its own cells."""
    grid = results.detectors({"detectors": [row("a", **BENIGN, **CHANGED)]})

    assert [heading.label for heading in grid.headings[-2:]] == ["Benign alarms", "Load changes"]
    assert [cell.text for cell in grid.rows[0].cells[-2:]] == ["1 of 4", "20"]


def test_a_narrow_terminal_leaves_it_out_and_says_so():
    """A wide one has it, rates and all."""
    run = {"detectors": [{**line, **CHANGED} for line in report_data().run["detectors"]]}
    wide, narrow = tables.detector_table(run, 200), tables.detector_table(run, 80)

    assert "Load changes" in [str(column.header) for column in wide.columns]
    assert "Load changes" in str(narrow.caption)


def test_csv_has_the_figures():
    """Each as the run object has it; empty in a run from before."""
    read = list(csv.DictReader(io.StringIO(tables.detectors_csv({"detectors": [row("a", **CHANGED), row("b")]}), newline="")))

    assert [float(read[0][name]) for name in CHANGED] == list(CHANGED.values())
    assert {read[1][name] for name in CHANGED} == {""}


def test_the_page_has_the_column_where_the_load_changed():
    """And not elsewhere; its word stands in the glossary of every page."""
    data = report_data()
    run = {**data.run, "detectors": [{**line, **CHANGED} for line in data.run["detectors"]]}
    with_it, without = (parse(render(one)) for one in (replace(data, run=run), data))

    assert with_it.problems == []
    assert "480 in 30 min, 24 in 10 h" in with_it.all("table", id="detectors")[0].text
    assert "Load changes" not in without.all("table", id="detectors")[0].text
