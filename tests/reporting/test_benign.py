"""Benign changes in tables, in CSV and on the page: a figure of their own, and only where there are any."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tasks.base.parquet import write_table
from tasks.base.trials import Outcome, Trial
from tasks.reporting import evidence, markdown, results, tables
from tasks.reporting.model import EventResult, ReportData
from tasks.reporting.outcomes import event_results
from tasks.reporting.page import render
from tasks.stages.report import false_alarms
from tests.reporting.structure import parse
from tests.reporting.synthetic import report_data

SHARE = {
    "benign_changes": 4,
    "benign_changes_alarmed": 1,
    "benign_alarm_ratio": 0.25,
    "benign_alarm_ratio_low": 0.0063,
    "benign_alarm_ratio_high": 0.806,
}
NONE = {
    "benign_changes": 0,
    "benign_changes_alarmed": 0,
    "benign_alarm_ratio": None,
    "benign_alarm_ratio_low": None,
    "benign_alarm_ratio_high": None,
}


def row(name: str, **more: Any) -> dict[str, Any]:
    """A row of the run object."""
    return {"name": name, "family": "x", "impact_events": 6, "events_detected": 1, "false_alarms_per_day": 0.0, "status": "ok", **more}


def with_changes(outcome: Outcome = Outcome.BENIGN) -> ReportData:
    """The made-up run, its first trial a rollout at which the first detector was silent and the second not."""
    data = report_data()
    view = data.recordings[-1]
    change = replace(view.trials[0], kind="rollout", outcome=outcome, benign=True)
    first, second = (str(line["name"]) for line in data.run["detectors"][:2])
    others = tuple(item for item in data.events if item.trial != change.id)
    own = (EventResult(first, change.id, "missed"), EventResult(second, change.id, "detected"))
    changed = replace(view, trials=(change, *view.trials[1:]))
    return replace(data, recordings=(*data.recordings[:-1], changed), events=(*own, *others))


def test_the_table_has_the_column_where_a_change_was_made():
    """How many of how many, and the interval of the share."""
    grid = results.detectors(
        {"detectors": [row("a", **SHARE), row("b", **{**SHARE, "status": "timed out", "benign_changes_alarmed": None})]}
    )
    cell = grid.rows[0].cells[-1]

    assert grid.headings[-1].label == "Benign alarms"
    assert (cell.text, cell.value, cell.sub) == ("1 of 4", 1, "0.6 % to 81 %")
    assert grid.rows[1].cells[-1].undefined
    assert {len(line.cells) for line in grid.rows} == {len(grid.headings)}


@pytest.mark.parametrize("more", [{}, NONE], ids=["a run from before", "no change made"])
def test_the_table_has_no_such_column_elsewhere(more: dict[str, Any]):
    """Runs without a benign change, and those from before there were any, have the table that they had."""
    grid = results.detectors({"detectors": [row("a", **more), row("b", status="timed out", **more)]})

    assert grid.headings == results.DETECTOR_HEADINGS
    assert {len(line.cells) for line in grid.rows} == {len(grid.headings)}


@pytest.mark.parametrize("width", [80, 110])
def test_the_terminal_keeps_the_column(width: int):
    """It is a result, not a detail: others go for it."""
    run = report_data().run
    shown = tables.detector_table({"detectors": [{**line, **SHARE} for line in run["detectors"]]}, width)

    assert "Benign alarms" in [str(column.header) for column in shown.columns]


def test_csv_has_the_figures():
    """Each as the run object has it; empty in a run from before."""
    read = list(csv.DictReader(io.StringIO(tables.detectors_csv({"detectors": [row("a", **SHARE), row("b")]}), newline="")))

    assert [float(read[0][name]) for name in SHARE] == list(SHARE.values())
    assert {read[1][name] for name in SHARE} == {""}


def test_markdown_names_the_outcome():
    """A change is no fault there either."""
    assert "| benign |" in markdown.faults(
        {"faults": [{"id": "t1", "kind": "rollout", "target": "a", "intensity": 1.0, "placebo": False, "outcome": "benign"}]}
    )


def test_the_page_tells_a_change_from_a_fault():
    """Counted by itself, in a colour of its own, and an alarm at it is no praise."""
    page = parse(render(with_changes()))
    facts = page.all("dl")[0].text
    card = page.all("article", **{"class": "card"})[0].text

    assert page.problems == []
    assert "Benign changes" in facts
    assert "benign change" in page.all("ul", **{"class": "legend"})[0].text
    assert "Alarms:" in card
    assert "Noticed by" not in card


def test_a_page_without_changes_does_not_speak_of_them():
    """Neither in its facts nor in its legends."""
    page = parse(render(report_data()))

    assert "Benign changes" not in page.all("dl")[0].text
    assert "benign" not in page.all("ul", **{"class": "legend"})[0].text


@pytest.mark.parametrize(("outcome", "tones"), [(Outcome.BENIGN, ["quiet", "bad"]), (Outcome.BENIGN_IMPACT, ["quiet", ""])])
def test_an_alarm_at_a_change_is_wrong_unless_users_noticed(outcome: Outcome, tones: list[str]):
    """Silence is fine; nothing of it is a missed fault."""
    data = with_changes(outcome)
    cells = {line.cells[0].text: line.cells[1] for line in evidence.events(data).rows}
    first, second = (str(line["name"]) for line in data.run["detectors"][:2])

    assert [cells[first].text, cells[second].text] == ["silent", "alarm"]
    assert [cells[first].tone, cells[second].tone] == tones
    assert not any("rollout" in line.cells[2].text for line in evidence.misses(data).rows)


def gathered(tmp_path: Path, **evaluation: Any) -> Any:
    """What a report reads of an evaluation, with scores of one detector on one recording."""
    write_table(tmp_path / "faults.parquet", pa.table({"time_s": [0.0, 1.0], "score": [0.0, 9.0]}))
    job = SimpleNamespace(settings={"roles": {"faults": "faults"}})
    return SimpleNamespace(evaluation=evaluation, job=job, folder=lambda _: tmp_path)


def trials() -> tuple[Trial, ...]:
    """A rollout, a placebo, a rollout that did not take place, and one that users noticed."""
    first, second, third, fourth = report_data().recordings[-1].trials[:4]
    return (
        replace(first, id="c", benign=True, outcome=Outcome.BENIGN),
        replace(second, id="p", placebo=True, outcome=None),
        replace(third, id="v", placebo=False, benign=True, outcome=Outcome.NOT_INJECTED),
        replace(fourth, id="h", benign=True, outcome=Outcome.BENIGN_IMPACT),
    )


def test_what_a_detector_did_at_placebos_and_changes_is_gathered():
    """An alarm at a placebo is told as well: silence is not assumed."""
    each = [{"trial": "c", "alarmed": False}, {"trial": "h", "alarmed": True}]
    line = {"name": "a", "detections": [{"trial": "f"}], "placebos": [{"trial": "p", "alarmed": True}], "benign": {"each": each}}
    found = {item.trial: item for item in event_results([line], trials())}

    assert {name: (item.outcome, item.reason) for name, item in found.items()} == {
        "c": ("missed", "no alarm, as it should be"),
        "p": ("detected", "an alarm was open during a placebo"),
        "v": ("not-counted", "the change was not-injected"),
        "h": ("detected", "users noticed this benign change: an alarm may be right"),
    }


def test_an_evaluation_from_before_is_gathered(tmp_path: Path):
    """It knows of no benign changes."""
    line = {"name": "a", "detections": [], "placebos": []}

    assert event_results([line], trials()) == ()
    assert false_alarms(gathered(tmp_path, spans=[], alarms={}, grace_s=7.0), trials()) == ()


def test_an_alarm_on_a_change_is_listed_with_its_reason(tmp_path: Path):
    """One by one beside the false ones, and it says that the rate a day does not hold it."""
    raised = {"a": {"faults": [[12.0, 14.0], [40.0, 41.0], [60.0, 61.0]]}}
    found = false_alarms(gathered(tmp_path, spans=[[55.0, 70.0]], changes={"c": [10.0, 30.0]}, alarms=raised, grace_s=7.0), ())

    assert [(alarm.open_s, alarm.note) for alarm in found] == [
        (12.0, "during benign change c: counted there, not in the rate a day"),
        (40.0, ""),
    ]
