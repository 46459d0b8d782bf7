"""The section ``telemetry`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.base.errors import DocumentError
from tasks.base.model import Seconds, Strict
from tasks.telemetry.prometheus.access import Access, address_problems

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
"""A metric name of the Prometheus text format."""

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=200)]
"""A label's name in the Prometheus text format."""

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


def _address(text: str) -> str:
    if problems := address_problems(text):
        raise ValueError("; ".join(problems))
    return text


def _selector(text: str) -> str:
    from tasks.telemetry.prometheus.selectors import parse_selector

    try:
        parse_selector(text)
    except DocumentError as error:
        raise ValueError(error.message) from error
    return text


class PrometheusSource(Strict):
    """Reads raw samples out of a running Prometheus (2.4x or 3.x) while the recording goes on."""

    kind: Literal["prometheus"]
    """Which source this is."""
    url: Annotated[str, Field(max_length=2000), AfterValidator(_address)]
    """Address of the server, `http://127.0.0.1:9090`; without user, password or query."""
    match: Annotated[tuple[Annotated[str, AfterValidator(_selector)], ...], Field(min_length=1, max_length=50, strict=False)] = (
        '{__name__!=""}',
    )
    """Selectors of the series to record, as in `match[]` of Prometheus: `{namespace="sock-shop"}`; the default is all it has."""
    interval_s: Seconds = 5.0
    """How often it scrapes what is recorded, in seconds: the step by which faults are judged."""
    settle_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    """Samples younger than this are left for the next time: a scrape that is under way may still add some."""
    overlap_s: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """How late a sample may turn up (cAdvisor stamps its own, up to 20 s old): this much is asked for again each time."""
    way: Literal["auto", "remote-read", "range-json"] = "auto"
    """How samples are read: `auto` tries remote read, and takes raw range selectors where the server has none."""
    service_labels: Annotated[tuple[LabelName, ...], Field(strict=False)] = ()
    """Labels that name a series' service, the first that is there counts; without any: app, name, service, container, pod, job."""
    file_sd: Annotated[str, Field(max_length=1000)] | None = None
    """File that the server watches by `file_sd_configs`: the targets of the app are written there once it runs, and removed after."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request; nothing secret."""
    ca_file: str | None = None
    """Authority that signed the server's certificate; without it, those that the system trusts."""
    cert_file: str | None = None
    """Client certificate."""
    key_file: str | None = None
    """Its key."""
    token_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable that holds a bearer token."""
    token_file: str | None = None
    """File that holds a bearer token; read anew for each request."""

    @model_validator(mode="after")
    def _believable(self) -> Self:
        if not address_problems(self.url) and (problems := self.access.problems()):
            raise ValueError("; ".join(problems))
        return self

    @property
    def access(self) -> Access:
        """How the server is reached."""
        names = ("url", "headers", "ca_file", "cert_file", "key_file", "token_env", "token_file")
        return Access(**{name: getattr(self, name) for name in names})


Source = Annotated[ScrapeSource | PrometheusSource, Field(discriminator="kind")]
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
    def source(self) -> ScrapeSource | PrometheusSource:
        """Where samples come from."""
        return self.sources[0]

    @property
    def interval_s(self) -> float:
        """Time between two scrapes of a target, in seconds."""
        return self.source.interval_s

    @property
    def lag_s(self) -> float:
        """How long after it was taken a sample may be on disk, in seconds."""
        settle_s = self.source.settle_s if isinstance(self.source, PrometheusSource) else 0.0
        return self.flush_s + self.interval_s + settle_s
