"""The strict base of every section of the experiment document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A frozen model that knows all its keys, takes no NaN or infinity, and no number given as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, use_attribute_docstrings=True)


Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
"""A positive duration in seconds, at most 30 days."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""A lower-case name: letters, digits and dashes; safe as a file name and as a Kubernetes name."""
