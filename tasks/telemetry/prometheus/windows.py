"""Cutting a span of time into the windows that a server is asked for, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_MS = 6 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Window:
    """The milliseconds since 1970 from *start_ms* to *end_ms*, both inclusive."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How many milliseconds are in it; 1 at least."""
        return self.end_ms - self.start_ms + 1


def windows(start_ms: int, end_ms: int, step_ms: int) -> Iterator[Window]:
    """
    Consecutive windows that hold each millisecond of [*start_ms*, *end_ms*] once; none where that is empty.

    They are cut at multiples of *step_ms* since 1970, so the cuts are the same wherever one begins.

    Raises:
        ValueError: *step_ms* is below 1.
    """
    if step_ms < 1:
        raise ValueError(f"windows of {step_ms} ms")
    return _windows(start_ms, end_ms, step_ms)


def _windows(start_ms: int, end_ms: int, step_ms: int) -> Iterator[Window]:
    while start_ms <= end_ms:
        next_ms = (start_ms // step_ms + 1) * step_ms
        yield Window(start_ms, min(next_ms - 1, end_ms))
        start_ms = next_ms


def halves(window: Window) -> tuple[Window, Window]:
    """
    The two halves of *window*, the first one longer by a millisecond where they cannot be equal.

    Raises:
        ValueError: It is a single millisecond, or none.
    """
    if window.length_ms < 2:
        raise ValueError(f"a window of {window.length_ms} ms has no halves")
    middle_ms = (window.start_ms + window.end_ms) // 2
    return Window(window.start_ms, middle_ms), Window(middle_ms + 1, window.end_ms)


def step_for(series: int, interval_s: float, samples_at_most: int) -> int:
    """
    Length of the windows, in ms, in which *series* with a sample every *interval_s* have *samples_at_most* in all.

    It is a whole number of seconds from 1 s to 6 h; so with very many series a window may hold more.

    Raises:
        ValueError: *interval_s* is not a length of time, *series* is negative, or *samples_at_most* is below 1.
    """
    if not 0 < interval_s < math.inf or series < 0 or samples_at_most < 1:
        raise ValueError(f"{series} series every {interval_s} s, {samples_at_most} samples")
    samples_each = samples_at_most // max(series, 1)
    seconds = math.floor(min(samples_each * interval_s, LONGEST_MS / 1000))
    return max(1, seconds) * 1000
