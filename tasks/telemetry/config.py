"""The section ``telemetry`` of the experiment document."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.base.errors import DocumentError
from tasks.base.model import Seconds, Strict
from tasks.telemetry.prometheus.access import Access, ApiConnection, address_problems, is_service

_LOGINS = ("ca_file", "cert_file", "key_file", "token_env", "token_file")
DEPLOYED = "tidegauge-prometheus:9090"
"""Service of a Prometheus that is put into the cluster."""
RATE_SCRAPES, KUBELET_SCRAPES = 5, 6
"""Scrapes in a rate window; of kubelets more, since they look at a container only at about every second one."""

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
"""A metric name of the Prometheus text format."""

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=200)]
"""A label's name in the Prometheus text format."""

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
"""The name of an environment variable."""

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


NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Name of a namespace."""

PageOfPods = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(/[!-~]*)?$", max_length=500)]
"""Where a pod's metrics page is: `PORT`, or `PORT/PATH`."""


class KubeletSource(Strict):
    """Asks a cluster's API server alone: the app's pages by its pod proxy, the kubelets' pages by its node proxy; nothing is installed."""

    kind: Literal["kubelet"]
    """Which source this is."""
    interval_s: Seconds = 5.0
    """Time between two scrapes of a pod's own page, and between two looks at how pods are, in seconds."""
    timeout_s: Seconds = 4.0
    """A pod that has not answered after this many seconds counts as ``up 0``; at most the interval."""
    kubelet_interval_s: Seconds = 10.0
    """Time between two scrapes of a kubelet, a whole multiple of `interval_s`; it looks at a container every 10 to 19 s itself."""
    containers: Literal["cadvisor", "resource", "none"] = "cadvisor"
    """The kubelets' page about containers: all of it; CPU and memory alone; none, which does without the wide right `nodes/proxy`."""
    selector: Annotated[str, Field(max_length=1000)] = ""
    """Label selector of the app's pods; without one, all in its namespace but our own."""
    pages: dict[str, PageOfPods] = Field(default_factory=dict)
    """Metrics pages by workload, `orders: 8080/metrics`, of pods without the annotations `prometheus.io/scrape`, `port` and `path`."""
    body_limit_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 16 << 20
    """Longest reply that is read; a longer one counts as ``up 0``."""

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeout_s > self.interval_s:
            raise ValueError(f"timeout_s ({self.timeout_s:g}) is longer than interval_s ({self.interval_s:g})")
        times = self.kubelet_interval_s / self.interval_s
        if times < 1 or abs(times - round(times)) > 1e-6:
            raise ValueError(f"kubelet_interval_s ({self.kubelet_interval_s:g}) is no whole multiple of interval_s ({self.interval_s:g})")
        return self


def _address(text: str) -> str:
    if problems := address_problems(text):
        raise ValueError("; ".join(problems))
    return text


def _service(text: str) -> str:
    if not is_service(text):
        raise ValueError(f"{text!r} is not of the form NAMESPACE/NAME:PORT, such as monitoring/prometheus:9090")
    return text


def _selector(text: str) -> str:
    from tasks.telemetry.prometheus.selectors import parse_selector

    try:
        parse_selector(text)
    except DocumentError as error:
        raise ValueError(error.message) from error
    return text


class DeployedPrometheus(Strict):
    """A Prometheus that is put into the cluster for the run, and removed after it."""

    namespace: NamespaceName
    """Where it is put; it is made when it is not there."""
    image: Annotated[str, Field(min_length=1, max_length=300)] = "prom/prometheus:v3.16.0"
    """Its image; version 2.45 or newer."""
    cadvisor: Literal["api-server", "kubelet", "none"] = "api-server"
    """
    How it asks the kubelets: by the API server (right `nodes/proxy`, which is wide), themselves (`nodes/metrics`, whose certificates it
    does not check), or not at all.
    """
    kubelet_interval_s: Seconds = 10.0
    """How often it asks the kubelets, in seconds; they look at a container every 10 to 19 s."""
    retention_s: Seconds | None = None
    """How long it keeps samples, in seconds; without it one and a half times what is planned, and at least two hours."""
    volume_gib: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Size of a volume that is claimed for it; without one its samples lie in its pod (`emptyDir`), and end with that."""
    storage_class: Annotated[str, Field(max_length=253)] | None = None
    """Of that volume; without it the cluster's default."""
    memory_mib: Annotated[int, Field(ge=128, le=1 << 20)] = 1024
    """Limit of its memory."""


class PrometheusSource(Strict):
    """Reads raw samples out of a running Prometheus (2.4x or 3.x) while the recording goes on."""

    kind: Literal["prometheus"]
    """Which source this is."""
    url: Annotated[str, Field(max_length=2000), AfterValidator(_address)] | None = None
    """Address of the server, `http://127.0.0.1:9090`; without user, password or query."""
    service: Annotated[str, Field(max_length=300), AfterValidator(_service)] | None = None
    """Instead: its service in the cluster, `monitoring/prometheus:9090`, which is reached by the API server's proxy."""
    deploy: DeployedPrometheus | None = None
    """Instead: put one into the cluster."""
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
    """Sent with every request; nothing secret: a name with `auth`, `token`, `key` or the like in it is refused here."""
    header_env: dict[str, EnvName] = Field(default_factory=dict)
    """Headers whose value is secret: the name of the environment variable that holds it, read anew for each request and never kept."""
    ca_file: str | None = None
    """Authority that signed the server's certificate; without it, those that the system trusts."""
    cert_file: str | None = None
    """Client certificate."""
    key_file: str | None = None
    """Its key."""
    token_env: EnvName | None = None
    """Name of the environment variable that holds a bearer token."""
    token_file: str | None = None
    """File that holds a bearer token; read anew for each request."""

    @model_validator(mode="after")
    def _believable(self) -> Self:
        places = [name for name in ("url", "service", "deploy") if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(f"one of url, service and deploy says where it is, not {' and '.join(places) or 'none of them'}")
        if self.url is None:
            if own := [name for name in (*_LOGINS, "file_sd") if getattr(self, name) is not None]:
                raise ValueError(f"{', '.join(own)}: a Prometheus in the cluster is reached by the API server, with the cluster's login")
        elif not address_problems(self.url) and (problems := self.access.problems()):
            raise ValueError("; ".join(problems))
        return self

    @property
    def in_cluster(self) -> bool:
        """Whether it is reached by the API server of the cluster, see :meth:`access_by`."""
        return self.url is None

    @property
    def access(self) -> Access:
        """
        How the server is reached that has an address of its own.

        Raises:
            DocumentError: It has none: it is in the cluster.
        """
        if self.url is None:
            raise DocumentError("this Prometheus is in the cluster, and has no address of its own")
        return Access(url=self.url, headers=self.headers, header_env=self.header_env, **{name: getattr(self, name) for name in _LOGINS})

    def access_by(self, connection: ApiConnection) -> Access:
        """How the server is reached: by the API server of *connection* where it is in the cluster."""
        if self.url is not None:
            return self.access
        deployed = None if self.deploy is None else f"{self.deploy.namespace}/{DEPLOYED}"
        return Access.of(connection, self.service or deployed, headers=self.headers, header_env=self.header_env)


Source = Annotated[ScrapeSource | PrometheusSource | KubeletSource, Field(discriminator="kind")]
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
    def source(self) -> ScrapeSource | PrometheusSource | KubeletSource:
        """Where samples come from."""
        return self.sources[0]

    @property
    def interval_s(self) -> float:
        """Time between two scrapes of a target, in seconds: the step by which faults are judged."""
        return self.source.interval_s

    @property
    def rate_window_s(self) -> float:
        """Seconds over which rates are taken where faults are judged: five scrapes, or as long as the kubelets' own pace asks for."""
        return max(RATE_SCRAPES * self.interval_s, KUBELET_SCRAPES * self._kubelet_interval_s)

    @property
    def lag_s(self) -> float:
        """How long after it was taken a sample may be on disk, in seconds."""
        settle_s = self.source.settle_s if isinstance(self.source, PrometheusSource) else 0.0
        return self.flush_s + max(self.interval_s, self._kubelet_interval_s) + settle_s

    @property
    def _kubelet_interval_s(self) -> float:
        """Time between two scrapes of a kubelet; 0 where none is asked by us, or by a server of ours."""
        source = self.source
        if isinstance(source, KubeletSource):
            return 0.0 if source.containers == "none" else source.kubelet_interval_s
        if isinstance(source, PrometheusSource) and source.deploy is not None:
            return 0.0 if source.deploy.cadvisor == "none" else source.deploy.kubelet_interval_s
        return 0.0
