"""Tables for the terminal and for spreadsheets. Imports nothing heavy: a stored run is printed in a fraction of a second."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from tasks.reporting.grid import Cell, Grid, Heading
from tasks.reporting.results import Record, by_merit, detectors
from tasks.reporting.wording import LIMIT, digest_of, shown

CELL = 32_000
"""Characters of one cell that spreadsheets take."""
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""How a cell begins that a spreadsheet would compute: ASCII signs, their full-width forms, control characters."""

DETECTOR_KEYS = (
    "name",
    "family",
    "impact_events",
    "events_detected",
    "false_alarms_per_day",
    "false_alarms_per_day_low",
    "false_alarms_per_day_high",
    "false_alarm_bound_per_day",
    "budget_supported",
    "time_in_alarm_ratio",
    "delay_median_s",
    "delay_p90_s",
    "auc_pr",
    "vus_pr",
    "placebo_alarm_ratio",
    "benign_changes",
    "benign_changes_alarmed",
    "benign_alarm_ratio",
    "benign_alarm_ratio_low",
    "benign_alarm_ratio_high",
    "load_changing_s",
    "load_steady_s",
    "false_alarms_load_changing_per_day",
    "false_alarms_load_steady_per_day",
    "load_change_ratio",
    "status",
)
RECALL_KEYS = ("name", "kind", "intensity", "impact_events", "events_detected")
RANKING_KEYS = ("method", "level", "onset", "ac_at_1", "ac_at_3", "avg_at_5", "mrr", "chance")


def detector_table(run: Record, width: int = 100) -> Table:
    """The detector results of a run object for a terminal *width* columns wide; undefined figures are ``-``."""
    return terminal(detectors(run), width)


def terminal(grid: Grid, width: int = 100) -> Table:
    """*grid* for a terminal, one line a row; minor columns that do not fit are left out, and the line below says so."""
    widths = [_width(grid, index) for index in range(len(grid.headings))]
    kept = _fitting(grid, widths, width)
    hidden = [heading.label for index, heading in enumerate(grid.headings) if index not in kept]
    remarks = dict.fromkeys(remark for row in grid.rows for index in kept if (remark := _remark(row.cells[index], grid.headings[index])))
    below = [grid.note, *(f"* {remark}" for remark in remarks), f"left out for width: {', '.join(hidden)}" if hidden else ""]
    table = Table(
        title=Text(grid.caption),
        title_justify="left",
        caption=Text("; ".join(words for words in below if words)) if any(below) else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for index in kept:
        heading = grid.headings[index]
        table.add_column(
            Text(heading.label),
            justify="right" if heading.numeric else "left",
            vertical="bottom",
            width=widths[index] if heading.numeric else None,
        )
    for row in grid.rows:
        table.add_row(*(_words(row.cells[index], grid.headings[index]) for index in kept), style="dim" if row.quiet else None)
    return table


def _width(grid: Grid, index: int) -> int:
    """Characters that column *index* needs: its longest cell, or the longest word of its heading."""
    heading = grid.headings[index]
    cells = (_words(row.cells[index], heading).cell_len for row in grid.rows)
    return max((*cells, *map(len, heading.label.split())), default=1)


def _fitting(grid: Grid, widths: Sequence[int], room: int) -> list[int]:
    """Indices of the columns that stay: the most minor go until the rest fits, or until only those that never go are left."""
    kept = list(range(len(widths)))
    while sum(widths[index] + 2 for index in kept) > room and any(grid.headings[index].minor for index in kept):
        kept.remove(max(kept, key=lambda index: grid.headings[index].minor))
    return kept


def _remark(cell: Cell, heading: Heading) -> str:
    """What a number's second line says in words; an interval says it in figures."""
    return cell.sub if heading.numeric and cell.sub and not cell.sub[0].isdigit() else ""


def _words(cell: Cell, heading: Heading) -> Text:
    """The cell as plain text, no markup of it obeyed: an interval follows in parentheses, a remark becomes ``*``."""
    words = Text(cell.text, style={"good": "green", "bad": "red"}.get(cell.tone, ""))
    if _remark(cell, heading):
        words.append("*")
    elif heading.numeric and cell.sub:
        words.append(f" ({cell.sub})", style="dim")
    return words


def detectors_csv(run: Record) -> str:
    """One line a detector, best first, the run object's own keys and values; undefined cells are empty."""
    return csv_text(DETECTOR_KEYS, ([row.get(key) for key in DETECTOR_KEYS] for row in by_merit(run.get("detectors") or ())))


def recall_csv(run: Record) -> str:
    """One line a detector, kind and intensity."""
    rows = ((row, part) for row in by_merit(run.get("detectors") or ()) for part in row.get("recall_by") or ())
    return csv_text(RECALL_KEYS, ([row.get("name"), *(part.get(key) for key in RECALL_KEYS[1:])] for row, part in rows))


def ranking_csv(run: Record) -> str:
    """One line a ranking method, level and onset."""
    return csv_text(RANKING_KEYS, ([row.get(key) for key in RANKING_KEYS] for row in run.get("ranking") or ()))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    CSV (RFC 4180) that a spreadsheet opens without computing anything.

    Numbers stay numbers and None is empty. A text that a spreadsheet would take for a formula gets an apostrophe in front;
    control characters become visible; a text longer than a spreadsheet's cell is cut and says so.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_plain(name) for name in header])
    writer.writerows([_plain(value) for value in row] for row in rows)
    return out.getvalue()


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    words = str(value)
    guarded = words.startswith(FORMULA) or words.lstrip().startswith(FORMULA)
    return ("'" if guarded else "") + shown(words, CELL)


def file_name(label: str, suffix: str) -> str:
    """A file name for data that belong to *label*: harmless whatever the label holds, and another one for another label."""
    readable = "".join(
        character if character.isascii() and (character.isalnum() or character in "-_") else "-" for character in label[:LIMIT]
    )
    return f"{readable.strip('-')[:40] or 'x'}-{digest_of(label)[:12]}{suffix}"
