"""The section ``ranking`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.base.model import Seconds, Strict

Profile = Literal["short", "long"]
MethodName = Literal["random", "n_sigma", "robust"]

REFERENCE_S: dict[Profile, float] = {"short": 15.0, "long": 300.0}
"""Seconds before the onset from which the normal level is taken."""
EFFECT_S: dict[Profile, float] = {"short": 8.0, "long": 120.0}
"""Seconds from the onset over which the effect is taken."""


class RankingConfig(Strict):
    """How services and metrics are ranked as the cause of a fault."""

    profile: Profile = "long"
    """`short` for recordings of minutes, `long` for hours and days: sets every length left empty here."""
    methods: Annotated[tuple[MethodName, ...], Field(min_length=1, strict=False)] = ("random", "n_sigma", "robust")
    """Methods to compare; `random` is the chance row."""
    detector: Annotated[str, Field(min_length=1)] = "robust_z"
    """Name of the detector whose alarms give the own onset."""
    reference_s: Seconds | None = None
    """Fault-free seconds before the onset that make the normal level; empty: 15 (short) or 300 (long)."""
    effect_s: Seconds | None = None
    """Seconds from the onset over which the effect is taken; empty: 8 (short) or 120 (long)."""

    @property
    def reference_length_s(self) -> float:
        """Seconds of the reference, the profile applied."""
        return REFERENCE_S[self.profile] if self.reference_s is None else self.reference_s

    @property
    def effect_length_s(self) -> float:
        """Seconds of the effect, the profile applied."""
        return EFFECT_S[self.profile] if self.effect_s is None else self.effect_s
