"""How far the clocks of generators elsewhere are from ours: measured by what they wrote and when it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.base.files import read_json, write_json

FILE = "clocks.json"


def shift_of(offset_s: float) -> int:
    """Whole seconds to add to those of a clock that is *offset_s* behind ours; less than one may be the way, not the clock."""
    return round(offset_s) if abs(offset_s) >= 1.0 else 0


@dataclass(frozen=True, slots=True)
class ClockFact:
    """What is known of the clock that one raw log was written by."""

    worker: int
    pod: str
    node: str | None
    offset_s: float
    """Our clock less its clock, seconds, and the shortest time that a line took to arrive."""
    spread_s: float
    """By how much that differed between minutes: drift, or a clock that was set."""
    lines: int
    """Lines that it was measured by."""

    @property
    def shift_s(self) -> int:
        """Whole seconds to add to its seconds, to have ours."""
        return shift_of(self.offset_s)


def write_clocks(out: Path, facts: Mapping[str, ClockFact]) -> None:
    """Write *facts*, by name of the raw log, into the folder of a load."""
    write_json(out / FILE, {name: {**asdict(fact), "shift_s": fact.shift_s} for name, fact in sorted(facts.items())})


def read_shifts(out: Path) -> dict[str, int]:
    """
    Whole seconds by which the seconds of each raw log in *out* are to be moved; empty where all share our clock.

    Raises:
        StorageError: The file is damaged.
    """
    path = out / FILE
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return {name: int(fact["shift_s"]) for name, fact in found.items()}
