"""Users over time: every shape becomes one curve of points, held or joined by straight lines."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.base.errors import DocumentError
from tasks.load.config import Constant, Csv, DayNight, FlashCrowd, Ramp, Shape, Steps

LIMIT_BYTES = 16 << 20
LIMIT_S = 30 * 86_400.0
LIMIT_USERS = 100_000
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
            return read_csv(find_file(shape.file, folders), held=shape.interpolate == "held")


def _cosine(shape: DayNight) -> Curve:
    middle, swing = (shape.night_users + shape.day_users) / 2, (shape.day_users - shape.night_users) / 2
    turns = [index / DAY_POINTS for index in range(DAY_POINTS + 1)]
    users = tuple(middle - swing * math.cos(2 * math.pi * turn) for turn in turns)
    return Curve(tuple(turn * shape.period_s for turn in turns), users, held=False, period_s=shape.period_s)


def find_file(name: str, folders: Sequence[Path]) -> Path:
    """
    The first file *name* in *folders*; an absolute path stays as it is.

    Raises:
        DocumentError: There is none.
    """
    places = [Path(name)] if Path(name).is_absolute() else [folder / name for folder in folders]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places) or "no folder"
    raise DocumentError(
        f"load.users.file: there is no file {name} (looked at {looked})", next_step="write one with the columns time_s,users"
    )


def read_csv(path: Path, *, held: bool) -> Curve:
    """
    The curve of a CSV file with the header ``time_s,users``.

    Raises:
        DocumentError: It cannot be read or is wrong; each mistake with file and line.
    """
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise DocumentError(f"{path} is larger than {LIMIT_BYTES >> 20} MiB")
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot read {path}: {error}") from error
    points, mistakes = _rows(text, str(path))
    if not mistakes and not points:
        mistakes.append(f"{path}:2: no row follows the header")
    if mistakes:
        raise DocumentError(
            "\n".join([f"{path} is not a load curve:", *(f"  {line}" for line in mistakes)]), next_step="mend the lines above"
        )
    times, users = zip(*points, strict=True)
    return Curve(times, users, held=held)


def _rows(text: str, name: str) -> tuple[list[tuple[float, float]], list[str]]:
    points: list[tuple[float, float]] = []
    mistakes: list[str] = []
    last_s = -1.0
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    if [cell.strip() for cell in header] != ["time_s", "users"]:
        return [], [f"{name}:1: the header must be time_s,users"]
    for row in reader:
        where = f"{name}:{reader.line_num}"
        if len(row) != 2:
            mistakes.append(f"{where}: two cells were expected, not {len(row)}")
            continue
        time_s, users = _number(row[0], LIMIT_S), _number(row[1], LIMIT_USERS)
        if time_s is None:
            mistakes.append(f"{where}: time_s: {row[0].strip()!r} is not a number from 0 to {LIMIT_S:.0f}")
        elif time_s <= last_s:
            mistakes.append(f"{where}: time_s: {time_s:g} does not come after {last_s:g}")
        elif reader.line_num == 2 and time_s != 0:
            mistakes.append(f"{where}: time_s: the first row must be at 0, not at {time_s:g}")
        if users is None:
            mistakes.append(f"{where}: users: {row[1].strip()!r} is not a number from 0 to {LIMIT_USERS}")
        last_s = last_s if time_s is None else time_s
        if time_s is not None and users is not None:
            points.append((time_s, users))
    return points, mistakes


def _number(text: str, most: float) -> float | None:
    try:
        value = float(text.strip()) if text.strip().isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if 0 <= value <= most else None
