"""The section ``cluster`` of the experiment document: where the app runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from tasks.base.model import Seconds, Strict

Delay = Annotated[float, Field(ge=0, le=3600)]
"""Seconds to wait, at most an hour; 0 is at once."""


class RestartConfig(Strict):
    """How long an ended process waits before it is started again. The defaults are those of a kubelet."""

    first_delay_s: Delay = 0.0
    """Wait before the first restart, in seconds."""
    delay_s: Delay = 10.0
    """Wait before the second restart, in seconds; doubled for each one after it."""
    max_delay_s: Delay = 300.0
    """Longest wait, in seconds."""
    reset_after_s: Seconds = 600.0
    """A process that ran this long, in seconds, counts as one that never ended."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.max_delay_s < self.delay_s:
            raise ValueError(f"max_delay_s ({self.max_delay_s:g}) must be at least delay_s ({self.delay_s:g})")
        return self


class LocalCluster(Strict):
    """This machine: services are processes under one supervisor, on loopback ports."""

    provider: Literal["local"] = "local"
    """Name of the provider."""
    restart: RestartConfig = RestartConfig()
    """Restarts of a process that ended."""
    ready_timeout_s: Seconds = 60.0
    """Longest wait, in seconds, until every process answers after a start."""
    stop_grace_s: Annotated[float, Field(ge=0, le=300)] = 3.0
    """Time, in seconds, between the request to end and SIGKILL."""
    ttl_s: Seconds | None = None
    """A deployment made by ``up`` ends by itself after this many seconds; null: it stays until ``down``."""


ClusterConfig: TypeAlias = LocalCluster
"""One model a provider, told apart by ``provider``."""
