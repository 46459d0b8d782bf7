"""Alarms on benign changes: a figure of its own, beside detections and beside the false alarms of quiet time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tasks.evaluation.events import ChangeAlarm
from tasks.evaluation.intervals import clopper_pearson

if TYPE_CHECKING:
    from tasks.evaluation.result import DetectorResult


@dataclass(frozen=True, slots=True)
class BenignAlarms:
    """How many benign changes raised an alarm, of those that no user noticed and that no fault reached into."""

    changes: int
    """Benign changes that count."""
    alarmed: float | None
    """Those with an alarm, a whole number but for means over seeds; None for a detector without a result."""
    low: float | None
    """Lower end of the exact 95 % interval of their share; None without a change."""
    high: float | None
    """Upper end of the exact 95 % interval of their share; None without a change."""
    each: tuple[ChangeAlarm, ...] = ()
    """One for each benign change that took place, counted or not; empty for a mean over seeds."""

    @classmethod
    def of(cls, each: Sequence[ChangeAlarm]) -> Self:
        """Count *each*."""
        counted = [one.alarmed for one in each if one.counted]
        return cls._share(len(counted), sum(counted), tuple(each))

    @classmethod
    def averaged(cls, counts: Sequence[Self]) -> Self:
        """The mean over seeds, all of the same changes, with the interval of one such run; a single one is itself."""
        if len(counts) == 1:
            return counts[0]
        return cls._share(counts[0].changes, sum(count.alarmed or 0.0 for count in counts) / len(counts), ())

    @classmethod
    def _share(cls, changes: int, alarmed: float, each: tuple[ChangeAlarm, ...]) -> Self:
        interval = clopper_pearson(alarmed, changes)
        return cls(changes, alarmed, interval.low if interval else None, interval.high if interval else None, each)

    @property
    def ratio(self) -> float | None:
        """Share of the changes with an alarm; None without a change or a result."""
        return None if self.alarmed is None or not self.changes else self.alarmed / self.changes

    def public(self) -> dict[str, Any]:
        """Its part of a row of the run's public object."""
        return {
            "benign_changes": self.changes,
            "benign_changes_alarmed": self.alarmed,
            "benign_alarm_ratio": self.ratio,
            "benign_alarm_ratio_low": self.low,
            "benign_alarm_ratio_high": self.high,
        }


def benign_line(results: Sequence[DetectorResult]) -> str | None:
    """What detectors made of benign changes, as a sentence; None where none took place."""
    judged = [row for row in results if row.family != "floor" and row.benign.each]
    if not judged:
        return None
    first = judged[0].benign
    left = len(first.each) - first.changes
    why = "users noticed, or a fault reached into it"
    if not first.changes:
        return f"{left} benign change{'' if left == 1 else 's'} took place, and {_not(left)} count: {why}"
    counts = ", ".join(f"{row.name} {row.benign.alarmed:g}/{row.benign.changes}" for row in judged if row.benign.alarmed is not None)
    more = f"; {left} more {_not(left)} count: {why}" if left else ""
    return f"benign changes with an alarm, neither detections nor false alarms of quiet time: {counts}{more}"


def _not(count: int) -> str:
    return "does not" if count == 1 else "do not"
