"""The section ``faults`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.base.model import Name, Ratio, Seconds, Strict

KindName = Literal[
    "cpu_squeeze",
    "cpu_hog",
    "memory_leak",
    "latency",
    "http_errors",
    "pause",
    "crash",
    "cpu_starvation",
    "memory_hog",
    "pod_kill",
    "service_outage",
    "queue_not_consumed",
    "black_hole",
    "wrong_config",
    "loss",
    "reset",
    "partition",
    "rollout",
    "scale_out_in",
]
"""Not every kind can be done everywhere: the plan refuses what cannot."""
Intensity = Annotated[float, Field(gt=0, le=1)]


class TrialEntry(Strict):
    """One fault, or benign change, to try."""

    kind: KindName
    """What is done; ``tidegauge faults list`` describes each kind."""
    target: Name
    """The service it is done to; never the entry service."""
    intensity: Intensity | None = None
    """Share of the kind's full strength, above 0 and at most 1; left out, the kind's own default."""
    duration_s: Seconds | None = None
    """How long this one lasts; left out, the section's ``duration_s``."""


class FaultsConfig(Strict):
    """What is broken in a recording of role ``faults``, and how much quiet lies between."""

    before_s: Seconds = 30.0
    """Fault-free time at the start of the recording."""
    duration_s: Seconds = 8.0
    """How long each fault lasts."""
    quiet_s: Annotated[tuple[Seconds, Seconds], Field(strict=False)] = (15.0, 19.0)
    """Shortest and longest fault-free time after each fault; drawn from the seed for each trial."""
    placebos: Annotated[int, Field(ge=0, le=10_000)] = 2
    """Pretended faults that walk the whole way without effect, spread among the real ones."""
    min_placebo_ratio: Ratio = 0.15
    """Smallest share of placebos among all trials that the plan accepts."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often the list of trials is gone through; the order is drawn anew each time."""
    settle_limit_s: Seconds = 120.0
    """Longest wait, after the quiet time, for witness and callers to be back inside the normal band; then no further fault is tried."""
    retry_not_injected: bool = True
    """Whether a fault that its witness did not show gets one more slot at the end."""
    trials: Annotated[tuple[TrialEntry, ...], Field(min_length=1, max_length=10_000, strict=False)]
    """The faults to try; their order is drawn from the seed."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        shortest, longest = self.quiet_s
        if shortest > longest:
            raise ValueError(f"quiet_s must be [shortest, longest], and {shortest:g} is longer than {longest:g}")
        return self
