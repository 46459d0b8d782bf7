"""
The lines of a generator in a pod: numbered where they are written, so that a reader may be cut off, read again, and miss nothing.

Each worker logs its own seconds, instead of reporting them to the master. A second is on its way to us 20 ms after it has
passed; the loss of a worker costs the second under way, of that worker. Locust's reports to a master go every three seconds, and the
loss of the master would take all that it had gathered, of everybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    life: str
    """The process that wrote it."""
    number: int
    """Its place among the lines of that process, from 1."""
    at_s: float
    """When it was written, by the clock there."""
    row: dict[str, Any]
    raw: bytes


def parsed(raw: bytes) -> Line | None:
    """The line in *raw*; None: it is something else that the container said."""
    try:
        row = json.loads(raw)
        return Line(str(row["life"]), int(row["n"]), float(row["at"]), row, raw)
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(slots=True)
class Sequence:
    """The lines of one process, given in any overlap, taken once each and in order."""

    next: int = 1
    lost: int = 0
    """Lines that nobody has any more."""
    _held: dict[int, Line] = field(default_factory=dict)

    @property
    def has_hole(self) -> bool:
        """Whether later lines are there, and the next one is not."""
        return bool(self._held)

    def take(self, line: Line) -> Iterator[Line]:
        """Add *line*; the lines that can be used now."""
        if line.number < self.next or line.number in self._held:
            return
        self._held[line.number] = line
        yield from self._whole()

    def give_up(self) -> Iterator[Line]:
        """Count the next lines as lost, up to those that are there; the lines that can be used now."""
        if self._held:
            first = min(self._held)
            self.lost += first - self.next
            self.next = first
            yield from self._whole()

    def _whole(self) -> Iterator[Line]:
        while self.next in self._held:
            yield self._held.pop(self.next)
            self.next += 1
