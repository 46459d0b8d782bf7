"""How much of what was recorded the catalogue knows: before anybody waits for a table of columns that say nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.features.build import ABOUT_SCRAPES
from tasks.features.catalogue import Catalogue
from tasks.features.recipes import recipes
from tasks.features.source import Series

NAMED = 12
"""Metric names that a sentence tells."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What becomes of a recording's metrics."""

    columns: int
    """Columns that can be made, those about the scrapes themselves included."""
    measured: int
    """Columns that say more than whether and how long a target was scraped."""
    used: frozenset[str]
    """Metric names that some column is made from."""
    unknown: tuple[str, ...]
    """Metric names that none is made from, sorted."""

    @property
    def listing(self) -> str:
        """The unknown names, the first of them one by one."""
        more = len(self.unknown) - NAMED
        return ", ".join(self.unknown[:NAMED]) + (f" and {more} more" if more > 0 else "")


def coverage(series: Iterable[Series], catalogue: Catalogue) -> Coverage:
    """What *catalogue* makes of *series*, those of the harness left out."""
    known = {one.id: one.name for one in series if one.role != "harness"}
    made = recipes(series, catalogue)
    names = [{known[number] for number in recipe.needed} for recipe in made]
    used = frozenset().union(*names)
    measured = sum(not one <= ABOUT_SCRAPES for one in names)
    return Coverage(len(made), measured, used, tuple(sorted(set(known.values()) - used)))
