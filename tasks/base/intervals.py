"""Closed spans of time and their arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """From *start_s* to *end_s*, both ends included, in seconds (wall or monotonic: the holder says which)."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"an interval cannot end ({self.end_s}) before it starts ({self.start_s})")

    @property
    def length_s(self) -> float:
        """Seconds from start to end."""
        return self.end_s - self.start_s

    def __contains__(self, moment_s: float) -> bool:
        return self.start_s <= moment_s <= self.end_s

    def overlaps(self, other: Interval) -> bool:
        """Whether the two share at least one moment."""
        return self.start_s <= other.end_s and other.start_s <= self.end_s

    def covers(self, other: Interval) -> bool:
        """Whether *other* lies wholly inside."""
        return self.start_s <= other.start_s and other.end_s <= self.end_s


def merged(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same moments as sorted spans that do not touch."""
    result: list[Interval] = []
    for span in sorted(spans):
        if result and span.start_s <= result[-1].end_s:
            result[-1] = Interval(result[-1].start_s, max(result[-1].end_s, span.end_s))
        else:
            result.append(span)
    return tuple(result)
