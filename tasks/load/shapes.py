"""Users over time: every shape becomes one curve of points, held or joined by straight lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from tasks.base.errors import DocumentError
from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, Ramp, Shape, Steps
from tasks.load.curve import Curve
from tasks.load.users_table import find_file, table

__all__ = ["Curve", "curve_of", "planned_journeys", "read_csv"]

DAY_POINTS = 96
"""Straight pieces of one period of the cosine: never more than 0.06 % of its height away from it."""


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
