"""The regular grid of time, and how samples are laid on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JITTER = 1.25
"""A scrape may be this many grid steps old (at the row's end) and still belong to its row."""
SLOW_SCRAPE = 1.5
"""Scrapes this many times rarer than rows stand for all rows until the next one is overdue."""
OVERDUE = 1.6
"""A slow scrape is overdue after this many of its intervals."""


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Rows around *centre_s* (UTC, seconds since 1970), *step_s* apart.

    A row is stamped with its end, *time_s*: whatever it says was known at its time.
    """

    centre_s: NDArray[np.float64]
    step_s: float

    @classmethod
    def between(cls, start_s: float, end_s: float, step_s: float) -> Grid:
        """
        Rows around the whole multiples of *step_s* in [*start_s*, *end_s*].

        Multiples, and not start plus steps, so that two matrices of one recording share their rows.
        """
        first = int(np.ceil(start_s / step_s - 1e-9))
        last = int(np.floor(end_s / step_s + 1e-9))
        return cls(np.arange(first, last + 1, dtype=np.float64) * step_s, step_s)

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Where each row ends, ``(n,)``: later samples are not known to it."""
        return self.centre_s + self.step_s / 2

    def part(self, rows: slice) -> Grid:
        """Some *rows* of it."""
        return Grid(self.centre_s[rows], self.step_s)

    def horizon_s(self, interval_s: float) -> float:
        """How old, at a row's end, a sample of a series scraped every *interval_s* may be to stand for the row."""
        slow = OVERDUE * interval_s if interval_s > SLOW_SCRAPE * self.step_s else 0.0
        return max(JITTER * self.step_s, slow)


@dataclass(frozen=True, slots=True)
class Placement:
    """For each row the *sample* that stands for it ``(n,)``, and whether there is one, *fresh* ``(n,)``."""

    sample: NDArray[np.intp]
    fresh: NDArray[np.bool_]


def place(time_s: NDArray[np.float64], grid: Grid, interval_s: float) -> Placement:
    """
    The sample nearest to each row's centre, among those up to the row's end that are not too old.

    Args:
        time_s: Times of the scrapes ``(m,)``, ascending, m >= 1.
        grid: The rows.
        interval_s: Usual distance of two scrapes.
    """
    last = np.searchsorted(time_s, grid.time_s, side="right") - 1
    before = np.maximum(last - 1, 0)
    newest = np.maximum(last, 0)
    nearer = np.abs(time_s[before] - grid.centre_s) < np.abs(time_s[newest] - grid.centre_s)
    fresh = (last >= 0) & (grid.time_s - time_s[newest] < grid.horizon_s(interval_s))
    return Placement(np.where(nearer, before, newest), fresh)


def lay(values: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Gauges *values* ``(k, m)`` on the rows: ``(k, n)``, NaN where no sample stands for a row."""
    laid = values[:, placement.sample]
    laid[:, ~placement.fresh] = np.nan
    return laid
