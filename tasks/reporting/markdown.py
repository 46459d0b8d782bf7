"""Short Markdown for places that show it, such as Prefect's artifacts: a summary, and one table a stage."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.reporting import results
from tasks.reporting.grid import Cell, Grid, Heading, Row, text, undefined
from tasks.reporting.results import Record
from tasks.reporting.verdict import verdict
from tasks.reporting.wording import UNDEFINED, number, seconds, shown

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$:-])")
"""Characters that Markdown could obey; a colon or a dash starts links and lists."""
LISTED = 100


def escaped(words: str) -> str:
    """*words* as Markdown that shows them: no link, image, HTML, table bar or emphasis of theirs is obeyed."""
    words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", words)


def table(grid: Grid) -> str:
    """*grid* as a Markdown table; at most LISTED rows, the rest counted."""
    if not grid.rows:
        return f"**{escaped(grid.caption)}**: {escaped(grid.empty)}.\n"
    lines = [
        f"**{escaped(grid.caption)}**",
        "",
        _line([escaped(heading.label) for heading in grid.headings]),
        _line(["---:" if heading.numeric else ":---" for heading in grid.headings]),
        *(_line([_words(cell) for cell in row.cells]) for row in grid.rows[:LISTED]),
    ]
    left = len(grid.rows) - LISTED
    return "\n".join([*lines, *(["", f"{left:,} more rows."] if left > 0 else []), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(cell: Cell) -> str:
    return UNDEFINED if cell.undefined else escaped(cell.text) + (f" ({escaped(cell.sub)})" if cell.sub else "")


def summary(run: Record, budget_per_day: float | None = None) -> str:
    """The verdict, the detector table and where the report is."""
    said = verdict(run, budget_per_day)
    parts = [f"### {escaped(said.headline)}", escaped(said.detail), table(results.detectors(run))]
    if run.get("report"):
        parts.append(f"Report: {escaped(shown(str(run['report'])))}")
    return "\n\n".join(part for part in parts if part) + "\n"


def recordings(run: Record) -> str:
    """One row a recording."""
    headings = (
        Heading("Recording"),
        Heading("Role"),
        Heading("Samples", True),
        Heading("Series", True),
        Heading("Gaps", True),
        Heading("Degraded", True),
    )
    rows = tuple(
        Row(
            (
                text(shown(str(row.get("name")))),
                text(shown(str(row.get("role")))),
                *(_count(row.get(key)) for key in ("samples", "series", "gaps")),
                undefined("not counted") if row.get("degraded_s") is None else Cell(seconds(float(row["degraded_s"])), row["degraded_s"]),
            )
        )
        for row in run.get("recordings") or ()
    )
    return table(Grid("recordings", "Recordings", headings, rows))


def _count(value: object) -> Cell:
    count = len(value) if isinstance(value, list | tuple) else value
    return Cell(f"{count:,}", count) if isinstance(count, int) else undefined("not counted")


def faults(run: Record) -> str:
    """One row a trial."""
    headings = (Heading("Trial"), Heading("Kind"), Heading("Target"), Heading("Intensity", True), Heading("Outcome"))
    rows = tuple(
        Row(
            (
                *(text(shown(str(row.get(key)))) for key in ("id", "kind", "target")),
                Cell(number(row.get("intensity")), row.get("intensity")),
                text("placebo" if row.get("placebo") else shown(str(row.get("outcome") or "not judged"))),
            )
        )
        for row in run.get("faults") or ()
    )
    return table(Grid("faults", "Trials", headings, rows, empty="no fault was injected"))


def detectors(run: Record) -> str:
    """The detector table, and recall by kind."""
    return f"{table(results.detectors(run))}\n{table(results.recall_by_kind(run))}"


def ranking(run: Record) -> str:
    """The ranking table."""
    return table(results.ranking(run))
