"""Users over time: every shape becomes one curve of points, held or joined by straight lines."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

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
    _before: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """User seconds from the start until each point."""

    def __post_init__(self) -> None:
        pieces = zip(pairwise(self.times_s), pairwise(self.users), strict=True)
        areas = ((end - start) * (low if self.held else (low + high) / 2) for (start, end), (low, high) in pieces)
        object.__setattr__(self, "_before", tuple(accumulate(areas, initial=0.0)))

    def at(self, moment_s: float) -> float:
        """Users at *moment_s*; 0 before the start."""
        if moment_s < 0:
            return 0.0
        return self._height(moment_s if self.period_s is None else moment_s % self.period_s)

    def integral(self, moment_s: float) -> float:
        """User seconds from the start until *moment_s*, exact; 0 before the start."""
        if moment_s <= 0:
            return 0.0
        if self.period_s is None:
            return self._area(moment_s)
        turns, rest = divmod(moment_s, self.period_s)
        return turns * self._area(self.period_s) + self._area(rest)

    def mean(self, start_s: float, end_s: float) -> float:
        """Mean users between *start_s* and *end_s*, which is later."""
        return (self.integral(end_s) - self.integral(start_s)) / (end_s - start_s)

    def _height(self, moment_s: float) -> float:
        place = bisect_right(self.times_s, moment_s) - 1
        if self.held or place + 1 >= len(self.times_s):
            return self.users[place]
        start, end = self.times_s[place], self.times_s[place + 1]
        return self.users[place] + (self.users[place + 1] - self.users[place]) * (moment_s - start) / (end - start)

    def _area(self, moment_s: float) -> float:
        place = bisect_right(self.times_s, moment_s) - 1
        height = self.users[place] if self.held else (self.users[place] + self._height(moment_s)) / 2
        return self._before[place] + (moment_s - self.times_s[place]) * height

    @property
    def peak(self) -> float:
        """The most users there ever are."""
        return max(self.users)


def planned_journeys(curve: Curve, rate_per_user_per_s: float, start_s: float, end_s: float) -> float:
    """Journeys that should start between *start_s* and *end_s*: user seconds x rate."""
    return (curve.integral(end_s) - curve.integral(start_s)) * rate_per_user_per_s


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
            marks = tuple(accumulate((0.0, shape.at_s, shape.rise_s, shape.hold_s, shape.fall_s)))
            return Curve(marks, (low, low, high, high, low), held=False)
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
