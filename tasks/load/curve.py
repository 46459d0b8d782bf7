"""Users as a function of time, in plain Python: what a load generator follows, wherever that runs."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate, pairwise


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
