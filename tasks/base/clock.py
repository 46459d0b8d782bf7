"""Time comes in through the door: what needs a clock takes one, so that tests need not wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for labels, monotonic time for durations, and a sleep."""

    def wall_s(self) -> float:
        """Seconds since 1970 in UTC; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never jump; shared by all processes of this boot."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clock."""

    def wall_s(self) -> float:
        """Seconds since 1970 in UTC."""
        return time.time()

    def monotonic_s(self) -> float:
        """``CLOCK_MONOTONIC``, the same in every process of this boot."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait *seconds* (nothing when negative)."""
        time.sleep(max(0.0, seconds))


def iso(wall_s: float | None) -> str | None:
    """UTC in ISO 8601 with milliseconds and a Z; None stays None."""
    if wall_s is None:
        return None
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time that names its zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.timestamp()
