"""Users over time: every shape becomes one curve of points, held or joined by straight lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import DocumentError
from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, Ramp, Shape, Steps
from tasks.load.users_table import find_file, table

DAY_POINTS = 96
"""Straight pieces of one period of the cosine: never more than 0.06 % of its height away from it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """
    Users as a function of the seconds since the load began.

    *times_s* rises from 0; *users* has the same length. Between two points the earlier number is *held*, or a line joins them;
    after the last point its number stays, unless *period_s* says that all begins again.
    """

    times_s: tuple[float, ...]
    users: tuple[float, ...]
    held: bool
    period_s: float | None = None

    def at(self, moments_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Users at *moments_s* (any shape); 0 before the start."""
        moments = np.asarray(moments_s, dtype=np.float64)
        folded = moments if self.period_s is None else np.mod(moments, self.period_s)
        times, users = np.array(self.times_s), np.array(self.users)
        if self.held:
            found = users[np.clip(np.searchsorted(times, folded, side="right") - 1, 0, len(users) - 1)]
        else:
            found = np.interp(folded, times, users)
        return np.where(moments < 0, 0.0, found)

    def integral(self, moments_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """User seconds from the start until *moments_s* (any shape), exact; 0 before the start."""
        moments = np.maximum(np.asarray(moments_s, dtype=np.float64), 0.0)
        if self.period_s is None:
            return self._once(moments)
        turns, rest = np.divmod(moments, self.period_s)
        return np.asarray(turns * self._once(np.array(self.period_s)) + self._once(rest), dtype=np.float64)

    def _once(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        times, users = np.array(self.times_s), np.array(self.users)
        widths = np.diff(times)
        areas = users[:-1] * widths if self.held else (users[:-1] + users[1:]) / 2 * widths
        before = np.concatenate(([0.0], np.cumsum(areas)))
        place = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, len(times) - 1)
        left = moments - times[place]
        height = users[place] if self.held else (users[place] + np.interp(moments, times, users)) / 2
        return np.asarray(before[place] + left * height, dtype=np.float64)

    def mean(self, start_s: NDArray[np.float64] | float, end_s: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Mean users between *start_s* and *end_s* (any shape, end after start)."""
        return np.asarray((self.integral(end_s) - self.integral(start_s)) / (np.asarray(end_s) - np.asarray(start_s)), dtype=np.float64)

    @property
    def peak(self) -> float:
        """The most users there ever are."""
        return max(self.users)


def planned_journeys(curve: Curve, rate_per_user_per_s: float, start_s: float, end_s: float) -> float:
    """Journeys that should start between *start_s* and *end_s*: user seconds x rate."""
    return float(curve.integral(end_s) - curve.integral(start_s)) * rate_per_user_per_s


def curve_of(shape: Shape, folders: Sequence[Path] = ()) -> Curve:
    """
    The curve of *shape*.

    Args:
        shape: The setting ``load.users``.
        folders: Where a CSV file is looked for, in this order, unless its path is absolute.

    Raises:
        DocumentError: The CSV file is not there or is wrong; all its mistakes are listed.
    """
    match shape:
        case Constant():
            return Curve((0.0,), (float(shape.users),), held=True)
        case Steps():
            times = tuple(index * shape.step_s for index in range(len(shape.users)))
            return Curve(times, tuple(map(float, shape.users)), held=True, period_s=len(times) * shape.step_s if shape.repeat else None)
        case Ramp():
            return Curve((0.0, shape.duration_s), (float(shape.from_users), float(shape.to_users)), held=False)
        case DayNight():
            return _cosine(shape)
        case FlashCrowd():
            low, high = float(shape.users), float(shape.peak_users)
            marks = np.cumsum([0.0, shape.at_s, shape.rise_s, shape.hold_s, shape.fall_s])
            return Curve(tuple(map(float, marks)), (low, low, high, high, low), held=False)
        case Csv():
            return _tabled(shape, folders)


def _tabled(shape: Csv, folders: Sequence[Path]) -> Curve:
    if shape.points is None:
        return read_csv(find_file(shape.file, folders), held=shape.interpolate == "held")
    times, users = zip(*shape.points, strict=True)
    return Curve(times, users, held=shape.interpolate == "held")


def _cosine(shape: DayNight) -> Curve:
    middle, swing = (shape.night_users + shape.day_users) / 2, (shape.day_users - shape.night_users) / 2
    turns = [index / DAY_POINTS for index in range(DAY_POINTS + 1)]
    users = tuple(middle - swing * math.cos(2 * math.pi * turn) for turn in turns)
    return Curve(tuple(turn * shape.period_s for turn in turns), users, held=False, period_s=shape.period_s)


def read_csv(path: Path, *, held: bool) -> Curve:
    """
    The curve of a CSV file with the header ``time_s,users``.

    Raises:
        DocumentError: It cannot be read or is wrong; each mistake with file and line.
    """
    points, mistakes = table(path)
    if mistakes:
        raise DocumentError(
            "\n".join([f"{path} is not a load curve:", *(f"  {line}" for line in mistakes)]), next_step="mend the lines above"
        )
    times, users = zip(*points, strict=True)
    return Curve(times, users, held=held)
