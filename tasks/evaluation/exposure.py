"""False alarms, and the fault-free time over which they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.alarms import Alarm, in_alarm
from tasks.evaluation.intervals import poisson
from tasks.evaluation.thresholds import DAY_S
from tasks.evaluation.truth import Truth


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """False alarms of one detector over one exposure; rates are None without exposure."""

    exposure_s: float
    """Fault-free seconds: rows times step."""
    blocks: float
    """Blocks of the exposure; the last, partial one counts by its length."""
    blocks_in_alarm: float
    """Blocks that contain an open alarm; the last, partial one counts by its length."""
    episodes: int
    """Alarms that opened in the exposure."""
    per_day: float | None
    """Blocks in alarm a day of exposure."""
    per_day_low: float | None
    """Lower end of the exact 95 % Poisson interval."""
    per_day_high: float | None
    """Upper end of the exact 95 % Poisson interval."""
    time_in_alarm_ratio: float | None
    """Share of the exposed rows in which an alarm is open."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def false_alarms(truth: Truth, raised: Sequence[Alarm], *, block_s: float, rows: NDArray[np.bool_] | None = None) -> FalseAlarms:
    """
    Count the false alarms of *raised* in blocks of *block_s*.

    The exposed rows are laid end to end and cut into blocks. A block counts once however many alarms it holds, and an
    alarm counts in every block in which it is open, so an endless one is not a single episode.

    Args:
        truth: The recording.
        raised: Its alarms, sorted by time.
        block_s: Length of a block.
        rows: The exposed rows, shape ``(n_rows,)``; None: those outside real faults that are not degraded.
    """
    exposed = truth.exposed() & ~truth.degraded if rows is None else rows
    alarmed = in_alarm(truth.time_s, raised)[exposed]
    opened = np.isin(truth.time_s[exposed], [alarm.open_s for alarm in raised])
    length = max(1, round(block_s / truth.step_s)) if truth.step_s else 1
    return _count(alarmed, int(opened.sum()), step_s=truth.step_s, length=length)


def ratio(first: FalseAlarms, second: FalseAlarms) -> float | None:
    """Rate of *first* over rate of *second* (ramps over steady load, say); None when one is undefined or the second is 0."""
    if first.per_day is None or not second.per_day:
        return None
    return first.per_day / second.per_day


def _count(alarmed: NDArray[np.bool_], episodes: int, *, step_s: float, length: int) -> FalseAlarms:
    exposure_s = len(alarmed) * step_s
    starts = np.arange(0, len(alarmed), length)
    weights = np.minimum(length, len(alarmed) - starts) / length
    blocks_in_alarm = float(weights[np.logical_or.reduceat(alarmed, starts)].sum()) if len(starts) else 0.0
    if not exposure_s:
        return FalseAlarms(0.0, 0.0, 0.0, episodes, None, None, None, None)
    days = exposure_s / DAY_S
    bounds = poisson(blocks_in_alarm)
    return FalseAlarms(
        exposure_s=exposure_s,
        blocks=float(weights.sum()),
        blocks_in_alarm=blocks_in_alarm,
        episodes=episodes,
        per_day=blocks_in_alarm / days,
        per_day_low=bounds.low / days,
        per_day_high=bounds.high / days,
        time_in_alarm_ratio=float(alarmed.mean()),
    )
