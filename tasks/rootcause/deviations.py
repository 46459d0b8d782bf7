"""How far each metric moved at an onset, by several methods."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.rootcause.model import Observed

IQR_PER_SD = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
SD_FLOOR = 0.1
MEDIAN_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class Slices:
    """Rows of the normal level and of the effect, shape ``(n, n_columns)`` each."""

    reference: NDArray[np.float64]
    effect: NDArray[np.float64]


def slices_at(
    observed: Observed, onset_s: float, *, reference_s: float, effect_s: float, usable: NDArray[np.bool_] | None = None
) -> Slices:
    """
    The rows before and after an onset.

    The reference is the last ``reference_s`` worth of usable rows before *onset_s*, reaching back across unusable ones; the
    effect is every row in [onset, onset + *effect_s*).

    Args:
        observed: The recording.
        onset_s: When the fault is taken to begin.
        reference_s: Length of the reference.
        effect_s: Length of the effect.
        usable: Rows that earlier faults left untouched, shape ``(n_rows,)``; None: all.
    """
    before = observed.time_s < onset_s
    if usable is not None:
        before &= usable
    rows = max(1, round(reference_s / observed.step_s)) if observed.step_s else 1
    after = (observed.time_s >= onset_s) & (observed.time_s < onset_s + effect_s)
    return Slices(observed.values[np.flatnonzero(before)[-rows:]], observed.values[after])


def scale_of(history: NDArray[np.float64], resolution: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The usual size of a change of each column, from fault-free rows, shape ``(n_columns,)``; always positive.

    The largest of interquartile range / 1.349, a tenth of the standard deviation, 1 % of the median's size and the column's
    resolution; columns without a valid cell have their resolution, and 1 where that is 0 too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # columns of NaN alone, handled below
        low, centre, high = np.nanpercentile(history, [25, 50, 75], axis=0) if len(history) else np.full((3, len(resolution)), np.nan)
        spread = np.nanstd(history, axis=0) if len(history) else np.full(len(resolution), np.nan)
    floors = np.fmax(np.fmax((high - low) / IQR_PER_SD, SD_FLOOR * spread), np.fmax(MEDIAN_FLOOR * np.abs(centre), resolution))
    return np.where(floors > 0, floors, 1.0)


def robust(slices: Slices, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Mean of the effect - median of the reference) / *scale*, shape ``(n_columns,)``; NaN where either has no valid cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # NaN is the answer for an empty window
        moved: NDArray[np.float64] = (np.nanmean(slices.effect, axis=0) - np.nanmedian(slices.reference, axis=0)) / scale
    return moved


def n_sigma(slices: Slices, resolution: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The largest distance from the reference's mean in its standard deviations, shape ``(n_columns,)``.

    N-Sigma as in Pham et al. (ASE 2024), by size; a constant reference has the resolution as its scale. NaN
    where either window has no valid cell.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # NaN is the answer for an empty window
        spread = np.nanstd(slices.reference, axis=0)
        farthest = np.nanmax(np.abs(slices.effect - np.nanmean(slices.reference, axis=0)), axis=0, initial=-np.inf)
    constant = np.nanmax(slices.reference, axis=0, initial=-np.inf) <= np.nanmin(slices.reference, axis=0, initial=np.inf)
    scale = np.where(constant | (spread == 0), np.where(resolution > 0, resolution, 1.0), spread)
    return np.where(np.isfinite(farthest) & np.isfinite(spread), farthest / scale, np.nan)
