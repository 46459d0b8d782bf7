"""The section ``recordings`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.base.model import Name, Seconds, Strict

Role = Literal["training", "calibration", "faults", "hold-out"]


class RecordingEntry(Strict):
    """One uninterrupted deployment of the app, from start to teardown."""

    name: Name
    """Unique in the document."""
    role: Role
    """What it may be used for: a recording never serves two roles."""
    duration_s: Seconds | None = None
    """Planned length after warm-up; a recording of role ``faults`` takes its length from the section ``faults``."""
    warmup_s: Annotated[float, Field(ge=0, le=3600)] = 8.0
    """Time under load before the recording starts to count."""
    warmup_limit_s: Seconds = 60.0
    """Longest wait for the warm-up gate: smoke test passed, required metrics there, load arrived."""
    reuse_incomplete: bool = False
    """Whether an incomplete recording is good enough to be reused."""
    imported: Annotated[str, Field(pattern=r"^recording/[0-9a-f]{32}$")] | None = None
    """An imported recording of the store, `recording/...`, that is taken instead of making one; its length is its own."""

    @model_validator(mode="after")
    def _length(self) -> Self:
        if self.imported is not None:
            if self.duration_s is not None:
                raise ValueError("an imported recording has a length of its own; remove duration_s")
            return self
        if (self.role == "faults") == (self.duration_s is not None):
            raise ValueError(
                "a recording of role faults takes its length from the section faults; remove duration_s"
                if self.role == "faults"
                else f"a recording of role {self.role} needs duration_s"
            )
        return self
