"""Verdict, tables, CSV and Markdown from a run object."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tasks.reporting import markdown, results, tables
from tasks.reporting.verdict import verdict
from tasks.reporting.wording import LIMIT, ratio, seconds, shown, visible
from tests.reporting.synthetic import report_data


def row(name: str, detected: float | None, rate: float | None = 0.0, delay: float | None = 2.0, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "family": "floor" if name in {"random", "norm"} else "x",
        "impact_events": 6,
        "events_detected": detected,
        "false_alarms_per_day": rate,
        "delay_median_s": delay,
        "status": "ok",
        **more,
    }


@pytest.mark.parametrize(
    ("rows", "headline", "detail"),
    [
        ([], "No detector was evaluated.", ""),
        (
            [row("a", 5), row("random", 1, 700.0)],
            "a noticed 5 of 6 faults that hurt users, in the median 2.0 s after onset.",
            "Random scores noticed 1 of 6 at 700 false",
        ),
        ([row("a", 6), row("b", 6), row("random", 0)], "a and b each noticed all 6 faults", "Random scores noticed 0 of 6."),
        ([row("a", 2), row("random", 3)], "a noticed 2 of 6", "Random scores did as well, 3 of 6: this shows nothing."),
        ([row("a", 2), row("random", 0), row("norm", 2)], "a noticed 2 of 6", "The floor norm, which learns nothing, did as well"),
        ([row("a", 6, 900.0), row("random", 0)], "No detector noticed a fault and kept to 24 false alarms a day.", ""),
        ([row("a", 0), row("random", 0)], "No detector noticed any of 6 faults", ""),
        ([row("a", None, impact_events=0), row("random", None, impact_events=0)], "No fault of this run hurt users", ""),
        ([row("a", None, status="timeout")], "Every detector failed.", ""),
        ([row("a", 6, None), row("b", 3)], "b noticed 3 of 6", "There is no random row"),
    ],
)
def test_the_verdict_says_no_more_than_the_run_can_bear(rows: list[dict[str, Any]], headline: str, detail: str):
    """Each state of a run has its sentence; a floor that does as well is named in it."""
    said = verdict({"detectors": rows}, 24.0)

    assert said.headline.startswith(headline)
    assert detail in said.detail


def test_the_best_detector_stands_first_and_a_failed_one_last():
    """Most noticed, then fewest false alarms, then soonest."""
    rows = [
        row("failed", None, status="timeout"),
        row("late", 5, 0.0, 9.0),
        row("dear", 5, 400.0, 1.0),
        row("best", 5, 0.0, 2.0),
        row("random", 1, 10.0),
        row("all", 6, 400.0),
    ]
    grid = results.detectors({"detectors": rows})

    assert [line.cells[0].text for line in grid.rows] == ["all", "best", "late", "dear", "random", "failed"]
    assert all(cell.undefined for cell in grid.rows[-1].cells[1:])


def test_none_is_a_dash_and_zero_is_zero():
    """The two are never the same cell."""
    grid = results.detectors({"detectors": [row("a", 0, 0.0, None)]})
    by_label = dict(zip((heading.label for heading in grid.headings), grid.rows[0].cells, strict=True))

    assert (by_label["Noticed"].text, by_label["False alarms a day"].text) == ("0 of 6", "0")
    assert by_label["Delay"].text == "-"
    assert by_label["Delay"].why == "undefined: fewer than half of the faults were noticed"


def test_a_mean_over_seeds_is_shown_as_a_mean():
    """The random row notices 1.35 faults, not 1.3499999999999999 and not 1."""
    part = {"kind": "crash", "intensity": 1.0, "impact_events": 2, "events_detected": 0.35000000000000003}
    run = {"detectors": [row("a", 5.0), row("random", 1.3499999999999999, recall_by=[part])]}

    assert [line.cells[1].text for line in results.detectors(run).rows] == ["5 of 6", "1.35 of 6"]
    assert results.recall_by_kind(run).rows[1].cells[1].text == "0.35/2"
    assert verdict(run).headline.startswith("a noticed 5 of 6")
    assert "Random scores noticed 1.35 of 6." in verdict(run).detail


def test_recall_is_split_by_kind_and_intensity():
    """A kind that a detector never met is undefined for it."""
    part = {"kind": "crash", "intensity": 1.0, "impact_events": 2, "events_detected": 1}
    grid = results.recall_by_kind({"detectors": [row("a", 1, recall_by=[part]), row("b", 1, recall_by=[])]})

    assert [heading.label for heading in grid.headings] == ["Detector", "crash 1"]
    assert [[cell.text for cell in line.cells] for line in grid.rows] == [["a", "1/2"], ["b", "-"]]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_terminal_table_fits_and_says_what_it_left_out(width: int):
    """No number is cut; columns that do not fit are named."""
    run = report_data().run
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables.detector_table(run, width))
    printed = console.export_text()

    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= width
    assert ("left out for width" in printed) == (width < 110)
    assert all(str(line["name"]) in printed for line in run["detectors"])


def test_the_terminal_obeys_no_markup_of_a_name():
    """Square brackets are characters."""
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(tables.detector_table({"detectors": [row("[red]a[/red][link=x]", 1)]}, 120))

    assert "[red]a[/red][link=x]" in console.export_text()


@given(st.text())
def test_no_cell_of_a_csv_is_a_formula(text: str):
    """Whatever a name holds, a spreadsheet reads text; numbers stay numbers."""
    ((guarded, number, empty),) = list(csv.reader(io.StringIO(tables.csv_text(["a", "b", "c"], [[text, -1.5, None]]), newline="")))[1:]

    assert not guarded.startswith(tables.FORMULA)
    assert not guarded.lstrip().startswith(tables.FORMULA)
    assert (number, empty) == ("-1.5", "")
    assert "\x00" not in guarded


def test_csv_gives_back_the_run_objects_values():
    """Read again, each figure is exactly what it was."""
    run = report_data().run
    read = list(csv.DictReader(io.StringIO(tables.detectors_csv(run), newline="")))
    wanted = {str(line["name"]): line for line in run["detectors"]}

    assert {line["name"]: line["vus_pr"] for line in read} == {
        name: "" if line["vus_pr"] is None else repr(line["vus_pr"]) for name, line in wanted.items()
    }
    assert len(tables.recall_csv(run).splitlines()) == 1 + sum(len(line["recall_by"]) for line in run["detectors"])
    assert len(tables.ranking_csv(run).splitlines()) == 1 + len(run["ranking"])


@given(st.text(), st.text())
def test_file_names_are_harmless_and_different(one: str, other: str):
    """Letters, digits, dash, underscore and the suffix; two labels never share a name."""
    names = {tables.file_name(label, ".csv") for label in (one, other)}

    assert all(
        name.removesuffix(".csv").replace("-", "").replace("_", "").isalnum() and name.isascii() and len(name) < 70 for name in names
    )
    assert len(names) == len({one, other})


def test_markdown_obeys_nothing_in_a_name():
    """No link, image, HTML or table bar of a label survives."""
    name = "[x](javascript:alert(1))|<b>*y*"
    told = markdown.detectors({"detectors": [row(name, 1)]})

    assert "\\[x\\]\\(javascript\\:alert\\(1\\)\\)\\|&lt;b&gt;\\*y\\*" in told


def test_markdown_has_a_summary_and_a_table_a_stage():
    """What Prefect shows of a run."""
    run = report_data().run

    assert markdown.summary(run, 24.0).startswith("### ")
    assert [
        told.count("\n| ") > 2 for told in (markdown.recordings(run), markdown.faults(run), markdown.detectors(run), markdown.ranking(run))
    ] == [True] * 4
    assert markdown.faults({}) == "**Trials**: no fault was injected.\n"


@given(st.text(max_size=500))
def test_shown_text_has_no_unseen_character_and_a_known_length(text: str):
    """Applied twice it changes nothing more."""
    told = shown(text, LIMIT)

    assert visible(told) == told
    assert not {unicodedata.category(character) for character in told} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(text) > LIMIT or "characters, sha256" not in told or "characters, sha256" in text


def test_numbers_read_as_a_person_writes_them():
    """Units, no false digits, undefined as a dash."""
    assert [seconds(value) for value in (None, 0.0, 2.04, 90.0, 7500.0)] == ["-", "0 s", "2.0 s", "1 min 30 s", "2 h 05 min"]
    assert [ratio(value) for value in (None, 0.0, 0.004, 0.25, 1.0)] == ["-", "0 %", "0.4 %", "25 %", "100 %"]
