"""A row of the benchmark: one figure, what it is held against, and whether that was met."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from tasks.base.files import write_json

FIGURES = Path(__file__).resolve().parents[2] / "build" / "bench.json"

Sense = Literal["<", "<=", ">=", "within"]


@dataclass(frozen=True, slots=True)
class Goal:
    """
    What a figure must reach.

    *of* says whether the bound is on the ``value`` itself or on the ``ratio`` to the peer; ``within`` is the distance of the
    figure from 1.
    """

    sense: Sense
    bound: float
    of: Literal["value", "ratio"] = "value"

    def met(self, figure: float | None) -> bool:
        """Whether *figure* reaches it; a figure that is missing or NaN does not."""
        if figure is None or math.isnan(figure):
            return False
        if self.sense == "within":
            return abs(figure - 1.0) <= self.bound
        if self.sense == ">=":
            return figure >= self.bound
        return figure < self.bound if self.sense == "<" else figure <= self.bound

    def text(self, unit: str) -> str:
        """For people: ``< 0.5 s``, ``<= 1.1 x the peer``."""
        if self.sense == "within":
            return f"within {self.bound:.0%} of 1"
        number = f"{self.bound / 1e6:g} MB" if unit == "bytes" else f"{self.bound:g} {unit}".rstrip()
        if self.of == "value":
            return f"{self.sense} {number}"
        return f"{self.sense} {self.bound:g} x {'as fast as the peer' if self.sense == '>=' else 'the peer'}"


@dataclass(frozen=True, slots=True)
class Row:
    """What ``build/bench.json`` holds, one object a figure."""

    name: str
    """Stable: ``area.thing`` or ``area.thing.part``."""
    value: float | None
    """Median of at least three measurements, or the one count; None: it could not be measured."""
    unit: str
    peer: str | None
    """Name, version and exact call of what it was measured against in the same run; None: there is none."""
    peer_value: float | None
    ratio: float | None
    """Value over peer's value; where the goal is "as fast as", the peer's value over ours. None without a peer that agreed."""
    goal: str | None
    met: bool | None
    """None: there is no goal."""
    machine: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields, in their order."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A field is missing, unknown, or of the wrong kind.
        """
        names = [field.name for field in fields(cls)]
        if sorted(value) != sorted(names):
            raise ValueError(f"a row has the fields {', '.join(names)}, not {', '.join(value)}")
        row = cls(**value)
        texts = (row.name, row.unit, row.machine, *(one for one in (row.peer, row.goal) if one is not None))
        numbers = [one for one in (row.value, row.peer_value, row.ratio) if one is not None]
        if not all(isinstance(one, str) for one in texts) or not all(isinstance(one, int | float) for one in numbers):
            raise ValueError(f"row {row.name!r} has a text where a number belongs, or a number where a text does")
        if row.met not in (None, True, False) or (row.goal is None) != (row.met is None):
            raise ValueError(f"row {row.name!r} must say whether its goal is met exactly when it has one")
        if (row.peer is None) != (row.peer_value is None):
            raise ValueError(f"row {row.name!r} must have a peer's value exactly when it has a peer")
        return row


@dataclass(frozen=True, slots=True)
class Peer:
    """What somebody else needed for the same answer in the same run."""

    call: str
    value: float
    agrees: bool = True
    """Whether its results were ours, compared value by value; False: there is no ratio, and no goal on one is met."""


def made(
    name: str, value: float | None, unit: str, *, machine: str, goal: Goal | None = None, peer: Peer | None = None, sound: bool = True
) -> Row:
    """
    The row of a figure.

    Args:
        name: Stable name.
        value: The figure.
        unit: Its unit: s, cpu s, bytes, cores, ratio.
        machine: Where.
        goal: What it must reach.
        peer: What it is compared with.
        sound: Whether the result of what was measured was checked and right; False: no goal is met.
    """
    ratio = None
    if peer is not None and peer.agrees and sound and value and peer.value:
        faster = goal is not None and goal.of == "ratio" and goal.sense == ">="
        ratio = peer.value / value if faster else value / peer.value
    figure = ratio if goal is not None and goal.of == "ratio" else value
    return Row(
        name=name,
        value=value,
        unit=unit,
        peer=None if peer is None else peer.call,
        peer_value=None if peer is None else peer.value,
        ratio=ratio,
        goal=None if goal is None else goal.text(unit),
        met=None if goal is None else sound and goal.met(figure),
        machine=machine,
    )


def read_rows(path: Path) -> list[Row]:
    """
    The rows in the file *path*; none when it is not there.

    Raises:
        ValueError: It is not a list of rows.
    """
    return [Row.from_json(one) for one in json.loads(path.read_text())] if path.is_file() else []


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write *rows* to *path*, atomically."""
    path.parent.mkdir(exist_ok=True)
    write_json(path, [row.to_json() for row in rows])


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """*old* with the rows of the same names replaced by *new*, and what is new at the end."""
    found = {row.name: row for row in new}
    kept = [found.pop(row.name, row) for row in old]
    return [*kept, *found.values()]
