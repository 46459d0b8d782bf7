"""From scores and a threshold to alarms: when one opens, and when it closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, order=True)
class Alarm:
    """One alarm: it is open at *open_s* and in every row up to, not including, *close_s* (seconds since 1970, UTC)."""

    open_s: float
    """Time of the row that completed the persistence rule."""
    close_s: float
    """Time of the row that closed it; the end of the last row when the recording ended first."""


def alarms(
    time_s: ArrayLike, scores: ArrayLike, threshold: float, *, persistence: tuple[int, int] = (2, 3), close_after: int = 5
) -> tuple[Alarm, ...]:
    """
    The alarms that *scores* raise, in order of time.

    A row exceeds when its score is strictly above *threshold*; a row without a score (NaN) does not. An alarm opens at a row
    that exceeds and completes ``persistence[0]`` such rows among the last ``persistence[1]``; it closes at the
    *close_after*-th consecutive row that does not exceed.

    Args:
        time_s: Rising times of the rows, shape ``(n_rows,)``.
        scores: The higher, the more anomalous, shape ``(n_rows,)``; NaN: no score.
        threshold: From calibration.
        persistence: Needed, among.
        close_after: Quiet rows that close.
    """
    times = np.asarray(time_s, dtype=float)
    exceeds = np.asarray(scores, dtype=float) > threshold
    needed, among = persistence
    opens = np.flatnonzero(exceeds & (_recent(exceeds, among) >= needed))
    closes = np.flatnonzero(_recent(~exceeds, close_after) >= close_after)
    found = []
    position = 0
    while (at := int(np.searchsorted(opens, position))) < len(opens):
        first = int(opens[at])
        later = int(np.searchsorted(closes, first))
        last = int(closes[later]) if later < len(closes) else len(times)
        found.append(Alarm(float(times[first]), _end(times, last)))
        position = last
    return tuple(found)


def in_alarm(time_s: ArrayLike, raised: Sequence[Alarm]) -> NDArray[np.bool_]:
    """Whether an alarm is open at each row, shape ``(n_rows,)``; *raised* as :func:`alarms` gives them."""
    times = np.asarray(time_s, dtype=float)
    if not raised:
        return np.zeros(len(times), dtype=bool)
    opened = np.searchsorted(np.array([alarm.open_s for alarm in raised]), times, side="right")
    closed = np.searchsorted(np.array([alarm.close_s for alarm in raised]), times, side="right")
    return opened > closed


def step_of(time_s: NDArray[np.float64]) -> float:
    """Seconds between rows: the median difference; 0 with fewer than two rows."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def _recent(flags: NDArray[np.bool_], among: int) -> NDArray[np.int64]:
    """How many of the last *among* rows, each row's own included, are set."""
    total = np.concatenate([np.zeros(among, dtype=np.int64), np.cumsum(flags, dtype=np.int64)])
    recent: NDArray[np.int64] = total[among:] - total[: len(flags)]
    return recent


def _end(times: NDArray[np.float64], row: int) -> float:
    """The time of *row*, or of the end of the last one."""
    return float(times[row]) if row < len(times) else float(times[-1]) + step_of(times)
