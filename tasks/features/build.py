"""From raw samples to the feature matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.features.catalogue import Catalogue, read_catalogue
from tasks.features.combine import Totals
from tasks.features.config import FeaturesConfig
from tasks.features.grid import Grid
from tasks.features.matrix import Column, Matrix
from tasks.features.presence import Group, Owner, Rhythm, Target, Use
from tasks.features.rates import born_at_zero
from tasks.features.recipes import Recipe, recipes
from tasks.features.source import Block, Gathered, Samples, Series

ABOUT_SCRAPES = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})
"""Written for failed scrapes too, so they do not show that a target was scraped."""


def build(folder: Path, settings: FeaturesConfig, *, start_s: float, end_s: float, columns: Sequence[Column] | None = None) -> Matrix:
    """
    The feature matrix of the recording in *folder*.

    Chunks are read one after the other, and only what the columns need is kept: 8 bytes a sample.

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
    from tasks.telemetry.samples import read_chunks, read_series

    grid = Grid.between(start_s, end_s, settings.grid_s)
    return _built(read_series(folder), read_chunks(folder), grid, settings.rate_window_s, read_catalogue(settings.catalogue), columns)


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
    return _built(series, [samples], grid, settings.rate_window_s, catalogue or read_catalogue(settings.catalogue), columns)


def _built(
    series: Iterable[Series],
    chunks: Iterable[Samples],
    grid: Grid,
    window_s: float,
    catalogue: Catalogue,
    columns: Sequence[Column] | None,
) -> Matrix:
    known = tuple(series)
    made = {recipe.column.name: recipe for recipe in recipes(known, catalogue)}
    wanted = tuple(recipe.column for recipe in made.values()) if columns is None else tuple(columns)
    chosen = [(place, made[column.name]) for place, column in enumerate(wanted) if column.name in made]
    owners = _owners(known, [recipe for _, recipe in chosen])
    gathered = Gathered(owners)
    for chunk in chunks:
        gathered.add(chunk)
    values = np.full((grid.time_s.size, len(wanted)), np.nan, dtype=np.float32)
    undefined = np.zeros(values.shape, dtype=np.bool_)
    interval_s = np.zeros(len(wanted))
    resets = np.zeros(len(wanted), dtype=np.int64)
    for its in _by_service(chosen):
        totals = Totals([recipe for _, recipe in its], grid, window_s)
        needed = dict.fromkeys(owners[number] for _, recipe in its for number in recipe.needed)
        _add_up(totals, list(gathered.take(needed)))
        for place, recipe in its:
            values[:, place], undefined[:, place] = totals.column(recipe)
            interval_s[place] = min((totals.interval_s[one] for one in recipe.needed if totals.interval_s.get(one)), default=0.0)
            resets[place] = sum(totals.resets.get(one, 0) for one in recipe.counters)
    values[~np.isfinite(values)] = np.nan
    return Matrix(grid.time_s, wanted, values, ~np.isnan(values), undefined, grid.step_s, interval_s, resets)


def _by_service(chosen: Iterable[tuple[int, Recipe]]) -> Iterable[list[tuple[int, Recipe]]]:
    """Recipes, with the places of their columns, of one service after the other: only one's samples are laid on the rows at a time."""
    found: dict[str, list[tuple[int, Recipe]]] = {}
    for place, recipe in chosen:
        found.setdefault(recipe.column.service, []).append((place, recipe))
    return found.values()


def _owners(series: Sequence[Series], chosen: Sequence[Recipe]) -> dict[int, Owner]:
    """Whose each series is that one of the recipes needs, by its number."""
    counters = {number for recipe in chosen for number in recipe.counters}
    needed = counters | {number for recipe in chosen for number in recipe.needed}

    def use(one: Series) -> Use:
        if one.id in counters:
            return "counter"
        return "about" if one.name in ABOUT_SCRAPES else "gauge"

    return {one.id: Owner.of(one, use(one)) for one in series if one.id in needed}


def _add_up(totals: Totals, found: Iterable[Block[Owner]]) -> None:
    """Add the blocks *found* of one service, with zeros before counters that were born while their target was watched."""
    groups: dict[tuple[str, ...], list[Block[Owner]]] = {}
    for block in found:
        groups.setdefault(block.owner.group, []).append(block)
    for members in groups.values():
        rhythm = Rhythm.of(list(_moments(members).values()))
        about = [block for block in members if block.owner.use == "about"]
        others = [block for block in members if block.owner.use != "about"]
        for those in filter(None, (others, about)):
            scraped = _moments(those)
            presences = Group(scraped, rhythm, totals.grid, totals.window_s).presences()
            for block in those:
                target = block.owner.target
                whole = born_at_zero(block, scraped[target]) if block.owner.use == "counter" else block
                totals.add(whole, presences[target], rhythm.interval_s)


def _moments(found: Iterable[Block[Owner]]) -> dict[Target, NDArray[np.float64]]:
    """All times at which series of each target were scraped, ascending."""
    times: dict[Target, list[NDArray[np.float64]]] = {}
    for block in found:
        parts = times.setdefault(block.owner.target, [])
        if not (parts and np.array_equal(parts[0], block.time_s)):
            parts.append(block.time_s)
    return {target: parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts)) for target, parts in times.items()}
