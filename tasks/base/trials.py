"""A fault trial: what was asked, what really happened and when. The ground truth of every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from tasks.base.clock import from_iso, iso


class Outcome(StrEnum):
    """What a fault or a benign change did; a placebo has none."""

    NOT_INJECTED = "not-injected"
    """It did not take place: its witness did not move."""
    INJECTED_NO_IMPACT = "injected-no-impact"
    IMPACT = "impact"
    BENIGN = "benign"
    """A benign change took place, and no user noticed."""
    BENIGN_IMPACT = "benign-impact"
    """A benign change took place, and users noticed."""

    @property
    def of_benign(self) -> Outcome:
        """What it is called where a benign change did it."""
        return {Outcome.INJECTED_NO_IMPACT: Outcome.BENIGN, Outcome.IMPACT: Outcome.BENIGN_IMPACT}.get(self, self)


OF_BENIGN = (Outcome.BENIGN, Outcome.BENIGN_IMPACT)
"""Outcomes of benign changes that took place."""


@dataclass(frozen=True, slots=True)
class Windows:
    """
    Wall times (seconds since 1970, UTC) in a trial's life; None: did not happen or was not seen.

    *first_effect* is the first row in which the witness left its reference, *back_to_normal* the first
    after which witness and callers stayed inside the normal band.
    """

    requested: float
    acknowledged: float | None = None
    first_effect: float | None = None
    revert_requested: float | None = None
    reverted: float | None = None
    back_to_normal: float | None = None

    def to_json(self) -> dict[str, str | None]:
        """Each time in ISO 8601, UTC."""
        return {field.name: iso(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, str | None]) -> Self:
        """Read what :meth:`to_json` wrote (exact to a millisecond)."""
        return cls(**{name: None if text is None else from_iso(text) for name, text in value.items()})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault, benign change or placebo of a recording."""

    id: str
    kind: str
    target: str
    intensity: float
    placebo: bool
    duration_s: float
    windows: Windows
    outcome: Outcome | None = None
    """None for a placebo, and until the recording is judged."""
    witness: str | None = None
    """The column that had to move, ``service/metric``."""
    note: str = ""
    """Why it is not-injected, retried, masked and the like."""
    benign: bool = False
    """A change as it happens every day, really made: no fault, and no quiet time either. False for a placebo of one."""

    @property
    def fault(self) -> bool:
        """Whether it is a fault: neither pretended nor benign."""
        return not (self.placebo or self.benign)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the windows in ISO 8601."""
        return {**asdict(self), "windows": self.windows.to_json(), "outcome": self.outcome}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        outcome = value["outcome"]
        return cls(**{**value, "windows": Windows.from_json(value["windows"]), "outcome": None if outcome is None else Outcome(outcome)})
