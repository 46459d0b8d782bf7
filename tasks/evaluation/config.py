"""The section ``evaluation`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.base.model import Ratio, Seconds, Strict

Profile = Literal["short", "long"]
PerDay = Annotated[float, Field(ge=0, le=86_400)]

BLOCK_S: dict[Profile, float] = {"short": 10.0, "long": 60.0}
"""Seconds of one block in which a false alarm counts once."""
BUFFER_S: dict[Profile, float] = {"short": 8.0, "long": 60.0}
"""Seconds of the widest buffer around a fault in VUS-PR."""


class Requirement(Strict):
    """What a run must reach; a run that does not ends with exit code 9."""

    detector: str
    """Name of the detector that must reach it."""
    recall: Ratio
    """Smallest share of impact events that it must detect (0-1)."""
    false_alarms_per_day: PerDay
    """Largest measured number of false alarms a day."""


class EvaluationConfig(Strict):
    """How alarms are made from scores, and how they are judged."""

    profile: Profile = "long"
    """`short` for recordings of minutes, `long` for hours and days: sets every length left empty here."""
    false_alarms_per_day: Annotated[float, Field(gt=0, le=86_400)] = 1.0
    """Budget: false alarms a day that the threshold may cost on fault-free data."""
    persistence: Annotated[tuple[int, int], Field(strict=False)] = (2, 3)
    """An alarm opens when this many (first) of so many consecutive rows (second) exceed the threshold."""
    close_after: Annotated[int, Field(ge=1, le=1000)] = 5
    """An alarm closes after this many consecutive rows that do not exceed the threshold."""
    block_s: Seconds | None = None
    """Seconds of a block in which a false alarm counts once; empty: 10 (short) or 60 (long)."""
    vus_buffer_s: Seconds | None = None
    """Widest buffer around a fault in VUS-PR, in seconds; empty: 8 (short) or 60 (long)."""
    also_events: Annotated[tuple[Literal["injected-no-impact", "not-injected"], ...], Field(strict=False)] = ()
    """Outcomes that count as events to detect beside `impact`; empty: none, since nobody was hurt."""
    random_seeds: Annotated[int, Field(ge=1, le=1000)] = 20
    """Number of seeds over which the random row is averaged."""
    require: Requirement | None = None
    """What the run must reach; empty: nothing."""

    @model_validator(mode="after")
    def _persistence_is_possible(self) -> Self:
        needed, among = self.persistence
        if not 1 <= needed <= among <= 100:
            raise ValueError(f"persistence must be [needed, among] with 1 <= needed <= among <= 100, not [{needed}, {among}]")
        return self

    @property
    def block_length_s(self) -> float:
        """Seconds of a false-alarm block, the profile applied."""
        return BLOCK_S[self.profile] if self.block_s is None else self.block_s

    @property
    def buffer_s(self) -> float:
        """Seconds of the widest VUS buffer, the profile applied."""
        return BUFFER_S[self.profile] if self.vus_buffer_s is None else self.vus_buffer_s

    def persistence_s(self, step_s: float) -> float:
        """Seconds that the persistence rule looks back over, on a grid of *step_s*."""
        return self.persistence[1] * step_s


def grace_s(rate_window_s: float, step_s: float) -> float:
    """Seconds after a revert in which the fault may still show: the longest rate window in use + 2 grid steps."""
    return rate_window_s + 2 * step_s
