"""The section ``telemetry`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.base.model import Seconds, Strict

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
"""A metric name of the Prometheus text format."""

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
"""A host name or an IPv4 address, without port."""


class ScrapeSource(Strict):
    """Asks every target for its metrics page on a fixed schedule, all targets at once."""

    kind: Literal["scrape"] = "scrape"
    """Which source this is."""
    interval_s: Seconds = 1.0
    """Time between two scrapes of a target, in seconds."""
    timeout_s: Seconds = 1.0
    """A reply that is not complete after this many seconds counts as ``up 0``; at most the interval."""
    body_limit_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 16 << 20
    """Longest reply that is read; a longer one counts as ``up 0``."""
    hosts: Annotated[tuple[HostName, ...], Field(strict=False)] = ()
    """Hosts besides loopback that may be scraped; link-local addresses never."""

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeout_s > self.interval_s:
            raise ValueError(f"timeout_s ({self.timeout_s:g}) is longer than interval_s ({self.interval_s:g})")
        return self


Source = ScrapeSource
"""Any source, told apart by ``kind``."""


class TelemetryConfig(Strict):
    """What is sampled while the app runs, how often, and how soon it is safe on disk."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=1, strict=False)] = (ScrapeSource(),)
    """Where samples come from."""
    flush_s: Seconds = 2.0
    """Samples are committed to a chunk this often, in seconds: what a crash may cost; take 30 and more for hours of recording."""
    required_metrics: Annotated[tuple[MetricName, ...], Field(strict=False)] = ()
    """Metric names that must have arrived before a recording starts to count; without one of them it does not start."""

    @property
    def scrape(self) -> ScrapeSource:
        """The source that scrapes."""
        return self.sources[0]
