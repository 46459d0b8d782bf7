"""Series of one service combined on the rows, and columns made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.features.catalogue import Gauge, Increase, Quantile, Rate, Share
from tasks.features.grid import Grid, place
from tasks.features.histograms import quantile
from tasks.features.presence import Owner, Presence
from tasks.features.rates import Windows, increments
from tasks.features.recipes import Ids, Recipe
from tasks.features.source import Block

Row = NDArray[np.float64]
Members = dict[Ids, list[int]]
"""Which rows of a block belong to which set of series."""
AT_ONCE = 1 << 18
"""Values that are worked on together: what is made on the way stays in the processor's cache."""


@dataclass(slots=True)
class Total:
    """Some series as one: their *added* values ``(n,)``, how many of them are *known* ``(n,)``, where that is *unsure*, the *largest*."""

    added: Row
    known: NDArray[np.int32]
    unsure: NDArray[np.bool_]
    largest: Row | None

    @classmethod
    def empty(cls, size: int, *, largest: bool) -> Total:
        """Of no series yet, on *size* rows."""
        return cls(
            np.zeros(size), np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.bool_), np.full(size, -np.inf) if largest else None
        )

    def of(self, values: Row) -> Row:
        """*values* ``(n,)`` where they are known, else NaN."""
        return np.where((self.known > 0) & ~self.unsure, values, np.nan)

    def combined(self, how: str) -> Row:
        """The sum, max or mean of those that are known."""
        if how == "max" and self.largest is not None:
            return self.of(self.largest)
        return self.of(self.added / np.maximum(self.known, 1) if how == "mean" else self.added)


@dataclass(slots=True)
class Totals:
    """What the columns *chosen* of one service are made of: each set of series as one, on the rows of *grid*."""

    chosen: Iterable[Recipe]
    grid: Grid
    window_s: float
    totals: dict[Ids, Total] = field(init=False, default_factory=dict)
    resets: dict[int, int] = field(init=False, default_factory=dict)
    """Resets of each counter that has samples."""
    interval_s: dict[int, float] = field(init=False, default_factory=dict)
    """How often each series that has samples was scraped."""
    _uses: dict[int, list[Ids]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        largest = {recipe.ids for recipe in self.chosen if isinstance(recipe.metric, Gauge) and recipe.metric.combine == "max"}
        for ids in dict.fromkeys(ids for recipe in self.chosen for ids in recipe.sums):
            self.totals[ids] = Total.empty(self.grid.time_s.size, largest=ids in largest)
            for number in ids:
                self._uses.setdefault(number, []).append(ids)

    def add(self, block: Block[Owner], presence: Presence, interval_s: float) -> None:
        """Add the series of *block*, whose target is scraped every *interval_s*, at the rows for which it stands."""
        part = self.grid.part(presence.rows)
        self.interval_s.update(dict.fromkeys(block.ids, interval_s))
        members: Members = {}
        for row, number in enumerate(block.ids):
            for ids in self._uses.get(number, ()):
                members.setdefault(ids, []).append(row)
        if block.owner.use == "counter":
            self._count(block, presence, Windows.of(block.time_s, part, self.window_s, interval_s), members)
            unsure = presence.rate_unsure
        else:
            self._level(block, presence, part, interval_s, members)
            unsure = presence.unsure
        if unsure.any():
            for ids in members:
                self.totals[ids].unsure[presence.rows] |= unsure

    def _count(self, block: Block[Owner], presence: Presence, windows: Windows, members: Members) -> None:
        stands = ~presence.ended[windows.rows]
        rows = windows.rows[stands] + presence.rows.start
        for ids, those in _batches(members, len(block.time_s)):
            added, resets = increments(block.values[those])
            self.resets.update(zip([block.ids[one] for one in those], resets.tolist(), strict=True))
            self.totals[ids].added[rows] += windows.rate(added.sum(axis=0))[stands]
            self.totals[ids].known[rows] += len(those)

    def _level(self, block: Block[Owner], presence: Presence, part: Grid, interval_s: float, members: Members) -> None:
        placement = place(block.time_s, part, interval_s)
        stands = placement.fresh & ~presence.ended
        samples = placement.sample[stands]
        rows = np.flatnonzero(stands) + presence.rows.start
        for ids, those in _batches(members, len(rows)):
            total = self.totals[ids]
            laid = block.values[np.ix_(np.array(those), samples)]
            total.added[rows] += laid.sum(axis=0)
            total.known[rows] += len(those)
            if total.largest is not None:
                total.largest[rows] = np.maximum(total.largest[rows], laid.max(axis=0))

    def column(self, recipe: Recipe) -> tuple[Row, NDArray[np.bool_]]:
        """Values ``(n,)``, NaN where there is none, and undefined ``(n,)``, of the recipe's column."""
        metric = recipe.metric
        if isinstance(metric, Gauge):
            return self.totals[recipe.ids].combined(metric.combine), np.zeros(self.grid.time_s.size, dtype=np.bool_)
        if isinstance(metric, Quantile):
            edges = np.array([edge for edge, _ in recipe.buckets])
            counts = np.stack([self.totals[ids].combined("sum") for _, ids in recipe.buckets])
            return quantile(edges, counts, metric.q), counts[-1] == 0
        whole = self.totals[recipe.ids].combined("sum")
        if isinstance(metric, Rate | Increase):
            return whole * (self.window_s if isinstance(metric, Increase) else 1.0), np.zeros(whole.shape, dtype=np.bool_)
        part = self.totals[recipe.part].combined("sum")
        if isinstance(metric, Share):
            part = np.minimum(np.where(np.isnan(part), 0.0, part), whole)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = part / whole
        return np.where(whole > 0, ratio, np.nan), whole == 0


def _batches(members: Members, length: int) -> Iterator[tuple[Ids, list[int]]]:
    """Rows of *length* values in batches of about :data:`AT_ONCE`."""
    size = max(1, AT_ONCE // max(1, length))
    for ids, those in members.items():
        for first in range(0, len(those), size):
            yield ids, those[first : first + size]
