"""The section ``features`` of the experiment document."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.base.model import Name, Ratio, Seconds, Strict

Profile = Literal["short", "long"]
MIN_ROWS = 8
"""Fewer rows say nothing about what is normal."""


class FeaturesConfig(Strict):
    """How raw samples become a table of metrics on a regular grid of time."""

    profile: Profile = "long"
    """Lengths of the detectors' windows: `short` for a demo of minutes, `long` for recordings of hours."""
    grid_s: Seconds = 1.0
    """Seconds from one row of the table to the next."""
    rate_window_s: Seconds = 5.0
    """Seconds over which a counter's rate is taken; at least two rows. Four scrapes or more make smooth rates."""
    catalogue: Name = "default"
    """Name of the metric catalogue: `configs/metrics/NAME.yaml`."""
    max_masked_ratio: Ratio = 0.2
    """A row in which a larger share of the cells was not observed gets no score and raises no alarm."""
    carry_scrapes: int = Field(default=2, ge=0, le=100)
    """A cell that was not observed keeps the last value for at most this many scrapes, then becomes the training median."""

    @model_validator(mode="after")
    def _window_spans_rows(self) -> Self:
        if self.rate_window_s < 2 * self.grid_s:
            raise ValueError(f"rate_window_s ({self.rate_window_s:g}) must be at least twice grid_s ({self.grid_s:g})")
        return self
