"""A table before it has a medium: the page, the terminal, Markdown and CSV are drawn from the same cells."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.reporting.wording import UNDEFINED

LISTED = 400
"""Rows of one table on the page at most; a longer one says how many it left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One cell.

    *text* is what is read, *value* what it is sorted by and exported as (None: undefined, sorted last), *sub* a second,
    quieter line, *why* the tooltip, *tone* one of ``good, bad, quiet`` or empty, *link* an id on the same page.
    """

    text: str
    value: float | int | str | None = None
    sub: str = ""
    why: str = ""
    tone: str = ""
    link: str = ""

    @property
    def undefined(self) -> bool:
        """Whether there is no value to show."""
        return self.text == UNDEFINED


@dataclass(frozen=True, slots=True)
class Heading:
    """
    A column.

    *numeric* ones stand right and sort from the largest first; *meaning* is the tooltip; when room is short the
    columns with the largest *minor* go first, those with 0 never.
    """

    label: str
    numeric: bool = False
    meaning: str = ""
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Cells in the order of the headings; *quiet* rows are drawn back (floors, placebos)."""

    cells: tuple[Cell, ...]
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: *id* is an id on the page, *caption* says what it shows, *source* is the digest of the artifact it was read from."""

    id: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    source: str = ""
    note: str = ""
    empty: str = "nothing to list"


def text(value: str, *, sub: str = "", why: str = "", tone: str = "", link: str = "") -> Cell:
    """A cell that is sorted by its own text."""
    return Cell(value, value, sub, why, tone, link)


def undefined(why: str) -> Cell:
    """``-``, with the reason."""
    return Cell(UNDEFINED, None, why=f"undefined: {why}", tone="quiet")


def capped(grid: Grid) -> Grid:
    """*grid* with at most LISTED rows, and a note when that cut something."""
    left = len(grid.rows) - LISTED
    if left <= 0:
        return grid
    note = f"{grid.note} {left:,} more rows are left out here; the run's own tables have them all.".strip()
    return Grid(grid.id, grid.caption, grid.headings, grid.rows[:LISTED], grid.source, note, grid.empty)
