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
    episodes: float
    """Alarms that opened in the exposure; a whole number, but for means over seeds."""
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


def averaged(counts: Sequence[FalseAlarms]) -> FalseAlarms:
    """
    The mean of several counts over the same exposure (seeds of one detector), with the interval of one such exposure.

    Raises:
        ValueError: Exposures differ.
    """
    if len({count.exposure_s for count in counts}) != 1:
        raise ValueError("only counts over one and the same exposure can be averaged")
    return _rates(
        counts[0].exposure_s,
        counts[0].blocks,
        blocks_in_alarm=sum(count.blocks_in_alarm for count in counts) / len(counts),
        episodes=sum(count.episodes for count in counts) / len(counts),
        time_in_alarm_ratio=sum(count.time_in_alarm_ratio or 0.0 for count in counts) / len(counts),
    )


def _count(alarmed: NDArray[np.bool_], episodes: int, *, step_s: float, length: int) -> FalseAlarms:
    starts = np.arange(0, len(alarmed), length)
    weights = np.minimum(length, len(alarmed) - starts) / length
    return _rates(
        len(alarmed) * step_s,
        float(weights.sum()),
        blocks_in_alarm=float(weights[np.logical_or.reduceat(alarmed, starts)].sum()) if len(starts) else 0.0,
        episodes=episodes,
        time_in_alarm_ratio=float(alarmed.mean()) if len(alarmed) else 0.0,
    )


def _rates(exposure_s: float, blocks: float, *, blocks_in_alarm: float, episodes: float, time_in_alarm_ratio: float) -> FalseAlarms:
    if exposure_s <= 0:
        return FalseAlarms(0.0, 0.0, 0.0, episodes, None, None, None, None)
    days = exposure_s / DAY_S
    bounds = poisson(blocks_in_alarm)
    return FalseAlarms(
        exposure_s=exposure_s,
        blocks=blocks,
        blocks_in_alarm=blocks_in_alarm,
        episodes=episodes,
        per_day=blocks_in_alarm / days,
        per_day_low=bounds.low / days,
        per_day_high=bounds.high / days,
        time_in_alarm_ratio=time_in_alarm_ratio,
    )
