"""From raw samples to the feature matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.features.catalogue import Catalogue, Gauge, Increase, Quantile, Rate, Share, read_catalogue
from tasks.features.config import FeaturesConfig
from tasks.features.grid import Grid, lay, place
from tasks.features.histograms import added_up, quantile
from tasks.features.matrix import Column, Matrix
from tasks.features.rates import born_at_zero, rates
from tasks.features.recipes import Ids, Recipe, recipes
from tasks.features.source import Block, Samples, Series, blocks

ABOUT_SCRAPES = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})
"""Written for failed scrapes too, so they do not show that a service was scraped."""

Row = NDArray[np.float64]


def build(folder: Path, settings: FeaturesConfig, *, start_s: float, end_s: float, columns: Sequence[Column] | None = None) -> Matrix:
    """
    The feature matrix of the recording in *folder*.

    Args:
        folder: A recording.
        settings: Grid, rate window and catalogue.
        start_s: First moment, UTC in seconds since 1970.
        end_s: Last moment.
        columns: The columns wanted; those that the recording cannot make are wholly masked. None: all it can make, by name.

    Raises:
        StorageError: The recording is torn.
        DocumentError: There is no such catalogue.
    """
    from tasks.telemetry.samples import read_samples, read_series

    return build_from(read_series(folder), read_samples(folder), settings, start_s=start_s, end_s=end_s, columns=columns)


def build_from(
    series: Iterable[Series],
    samples: Samples,
    settings: FeaturesConfig,
    *,
    start_s: float,
    end_s: float,
    columns: Sequence[Column] | None = None,
    catalogue: Catalogue | None = None,
) -> Matrix:
    """:func:`build` on *series* and *samples* in memory; *catalogue* replaces the one that the settings name."""
    grid = Grid.between(start_s, end_s, settings.grid_s)
    known = tuple(series)
    made = {recipe.column.name: recipe for recipe in recipes(known, catalogue or read_catalogue(settings.catalogue))}
    wanted = tuple(recipe.column for recipe in made.values()) if columns is None else tuple(columns)
    chosen = [made[column.name] for column in wanted if column.name in made]
    laid = _lay(known, samples, chosen, grid, settings.rate_window_s)
    values = np.full((grid.time_s.size, len(wanted)), np.nan, dtype=np.float32)
    undefined = np.zeros(values.shape, dtype=np.bool_)
    interval_s = np.zeros(len(wanted))
    resets = np.zeros(len(wanted), dtype=np.int64)
    for place_, column in enumerate(wanted):
        recipe = made.get(column.name)
        if recipe is None:
            continue
        values[:, place_], undefined[:, place_] = laid.make(recipe, settings.rate_window_s)
        interval_s[place_] = min((laid.interval_s[one] for one in recipe.needed if laid.interval_s.get(one)), default=0.0)
        resets[place_] = sum(laid.resets.get(one, 0) for one in recipe.counters)
    values[~np.isfinite(values)] = np.nan
    return Matrix(grid.time_s, wanted, values, ~np.isnan(values), undefined, grid.step_s, interval_s, resets)


@dataclass(slots=True)
class _Laid:
    """Each needed series on the grid (counters as rates a second), by its number."""

    empty: Row
    rows: dict[int, Row] = field(default_factory=dict)
    interval_s: dict[int, float] = field(default_factory=dict)
    resets: dict[int, int] = field(default_factory=dict)
    sums: dict[Ids, Row] = field(default_factory=dict)

    def added(self, ids: Ids) -> Row:
        """Sum of the series *ids*, NaN where none is known."""
        if ids not in self.sums:
            found = [self.rows[one] for one in ids if one in self.rows]
            self.sums[ids] = added_up(np.stack(found)) if found else self.empty
        return self.sums[ids]

    def make(self, recipe: Recipe, window_s: float) -> tuple[Row, NDArray[np.bool_]]:
        """Values ``(n,)`` and undefined ``(n,)`` of the recipe's column."""
        metric = recipe.metric
        defined = np.zeros(self.empty.shape, dtype=np.bool_)
        if isinstance(metric, Gauge):
            return self.combined(recipe.ids, metric.combine), defined
        if isinstance(metric, Rate):
            return self.added(recipe.ids), defined
        if isinstance(metric, Increase):
            return self.added(recipe.ids) * window_s, defined
        if isinstance(metric, Quantile):
            edges = np.array([edge for edge, _ in recipe.buckets])
            counts = np.stack([self.added(ids) for _, ids in recipe.buckets])
            return quantile(edges, counts, metric.q), counts[-1] == 0
        whole = self.added(recipe.ids)
        part = self.added(recipe.part)
        if isinstance(metric, Share):
            part = np.minimum(np.where(np.isnan(part), 0.0, part), whole)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = part / whole
        return np.where(whole > 0, ratio, np.nan), whole == 0

    def combined(self, ids: Ids, how: str) -> Row:
        """Gauges *ids* as one: their sum, max or mean where any is known."""
        total = self.added(ids)
        found = [self.rows[one] for one in ids if one in self.rows]
        if how == "sum" or not found:
            return total
        stacked = np.stack(found)
        if how == "max":
            return np.asarray(np.fmax.reduce(stacked, axis=0), dtype=np.float64)
        mean: Row = total / np.maximum((~np.isnan(stacked)).sum(axis=0), 1)
        return mean


def _lay(series: Sequence[Series], samples: Samples, chosen: Sequence[Recipe], grid: Grid, window_s: float) -> _Laid:
    counters = {one for recipe in chosen for one in recipe.counters}
    needed = counters | {one for recipe in chosen for one in recipe.needed}
    about = {one.id for one in series if one.name in ABOUT_SCRAPES}
    owners = {one.id: (one.service, one.role, _use(one.id, counters, about)) for one in series if one.id in needed}
    found = list(blocks(samples, owners))
    scraped = _moments(block for block in found if block.owner[2] != "about")
    interval_s = {owner: _interval_s(times) for owner, times in _moments(found).items()}
    laid = _Laid(np.full(grid.time_s.size, np.nan))
    for block in found:
        owner = block.owner[:2]
        if block.owner[2] == "counter":
            grown = rates(born_at_zero(block, scraped[owner]), grid, window_s, interval_s[owner])
            rows = grown.per_s
            laid.resets.update(zip(block.ids, grown.resets.tolist(), strict=True))
        else:
            rows = lay(block.values, place(block.time_s, grid, interval_s[owner]))
        laid.rows.update(zip(block.ids, rows, strict=True))
        laid.interval_s.update(dict.fromkeys(block.ids, interval_s[owner]))
    return laid


def _use(number: int, counters: set[int], about: set[int]) -> str:
    if number in counters:
        return "counter"
    return "about" if number in about else "gauge"


def _moments(found: Iterable[Block]) -> dict[tuple[str, ...], NDArray[np.float64]]:
    """All times at which series of each (service, role) were scraped, ascending."""
    times: dict[tuple[str, ...], list[NDArray[np.float64]]] = {}
    for block in found:
        times.setdefault(block.owner[:2], []).append(block.time_s)
    return {owner: np.unique(np.concatenate(parts)) for owner, parts in times.items()}


def _interval_s(times: NDArray[np.float64]) -> float:
    """Usual distance of two scrapes; 0 when there is only one."""
    return float(np.median(np.diff(times))) if times.size > 1 else 0.0
