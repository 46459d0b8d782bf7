"""The section ``app`` of the experiment document, and the form of the app files in ``configs/apps/``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Tag, model_validator

from tasks.app.graph import graph_problems
from tasks.base.mistakes import IMAGE
from tasks.base.model import Name, Seconds, Strict

HttpPath = Annotated[str, Field(pattern=r"^/[^\s#]*$", max_length=500)]
"""An absolute path on a service, perhaps with a query."""
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""The name of an environment variable."""
Text = Annotated[str, Field(max_length=4000)]
"""A short text."""
FilePath = Annotated[str, Field(min_length=1, max_length=1000)]
"""A path, relative to the document's folder or absolute."""
Port = Annotated[int, Field(ge=1, le=65_535)]
"""A TCP port."""
Image = Annotated[str, Field(max_length=500, pattern=IMAGE)]
"""The name of a container image with a tag, a digest or both; the tag ``{version}`` is the product's version."""
Listed = Field(strict=False)  # YAML has lists where the frozen models keep tuples


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class ServiceConfig(Strict):
    """One program of the app. ``{port}``, ``{data}``, ``{python}`` and ``{peer:NAME}`` are filled in in ``command`` and ``env``."""

    name: Name
    """Unique in the app."""
    command: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    """Program and arguments as a list; no shell is involved."""
    env: dict[EnvName, Text] = {}
    """Added to a minimal environment; ``http://{peer:carts}`` is where carts answers. In a pod, HOST is 0.0.0.0 unless given here."""
    port: Port | None = None
    """The loopback port that it always listens on; null: a free one is chosen and given as ``{port}``, in a pod 8080."""
    metrics_path: HttpPath | None = "/metrics"
    """Where it shows its metrics as Prometheus text; null: it shows none."""
    ready_path: HttpPath | None = None
    """Answers 200 once it is ready; null: an open port is enough."""
    memory_limit_bytes: Annotated[int, Field(ge=16 * 2**20)] | None = None
    """Above it the service is killed (OOMKilled) and started again; null: no limit."""
    cpu_limit_cores: Annotated[float, Field(ge=0.01, le=256)] | None = 0.5
    """In a pod, how many cores it may use before it is throttled; null: no limit. Processes on one machine are not limited."""
    image: Image | None = None
    """The image of its pod; null: the app's. Processes on one machine need none."""
    stateless: bool = False
    """
    Whether nothing that users would miss is kept in ``{data}``: in pods, a new one is then started before the old one ends, and several may
    run. Otherwise the old one ends first, since its data end with it.
    """
    calls: Annotated[tuple[Name, ...], Listed] = ()
    """The services that it calls, whose address it gets by ``{peer:NAME}``."""


class Workload(Strict):
    """What is known of a service that is brought by manifests: the Deployment, StatefulSet or DaemonSet of the same name."""

    name: Name
    """Name of the Deployment, StatefulSet or DaemonSet."""
    port: Port | None = None
    """The port of its Service at which others reach it; null: the first one."""
    metrics_path: HttpPath | None = None
    """Where its pods show metrics as Prometheus text; null: they show none."""
    metrics_port: Port | None = None
    """The port of its pods that ``metrics_path`` is on; null: the first port of its containers."""
    calls: Annotated[tuple[Name, ...], Listed] = ()
    """The services that it calls. Where none of the services names any, ranking works without call edges, and says so."""


class SmokeStep(Strict):
    """One request of the functional test before a recording; all steps share their cookies."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What works when the step passes, as in "a sock can be put into the basket"."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """HTTP method."""
    path: HttpPath
    """Path on the entry service."""
    user: Annotated[str, Field(pattern=r"^[^:\s]+:.+$")] | None = None
    """``name:password`` for HTTP basic authentication."""
    body: dict[str, Any] | None = None
    """Sent as JSON."""
    status: Annotated[int, Field(ge=100, le=599)] = 200
    """The status code that is expected."""
    contains: str | None = None
    """A text that the answer must contain."""


class Usage(Strict):
    """How an app is used, and how to tell that it works, however it is started."""

    entry: Name
    """The service that users talk to; faults never hit it."""
    endpoints: dict[str, Annotated[tuple[Name, ...], BeforeValidator(_as_tuple)]] = {}
    """What a request to the entry service reaches, as ``GET /catalogue: [catalogue]``; one that is not listed may reach every service."""
    required_metrics: Annotated[tuple[str, ...], Listed] = ()
    """Metric names that at least one service must show before a recording may start."""
    smoke: Annotated[tuple[SmokeStep, ...], Listed] = ()
    """The functional test, in order; empty: a GET of the entry's ``ready_path`` or ``/``."""
    readiness_s: Seconds = 10.0
    """Time that a service is planned to need until it is ready, also after a restart; a cool-down is never shorter."""


class AppSettings(Usage):
    """An app: its programs, who calls whom, and how to tell that it works."""

    services: Annotated[tuple[ServiceConfig, ...], Field(min_length=1, strict=False)]
    """The programs, in the order in which they are listed everywhere."""
    image: Image | None = None
    """The image of those services that name none; processes on one machine need none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ports = [service.port for service in self.services if service.port is not None]
        found = [f"two services listen on port {port}" for port in sorted({p for p in ports if ports.count(p) > 1})]
        found += graph_problems(self.entry, [(service.name, service.calls) for service in self.services], self.endpoints)
        _refuse(found)
        return self


class ClusterApp(Usage):
    """An app that comes as Kubernetes objects: what they do not say about its services."""

    workloads: Annotated[tuple[Workload, ...], Field(min_length=1, strict=False)]
    """The services among the objects, in the order in which they are listed everywhere; what is not listed here is deployed, too."""
    images: dict[Name, Image] = {}
    """Other images by the name of the container, as for forks or a registry of one's own."""
    allow_node_access: bool = False
    """Let pods pass that reach into their node: host paths, ports and namespaces, privileged containers, strong capabilities."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the files, noted when the document is read; kept with every run, so that nothing else is deployed later."""

    @model_validator(mode="before")
    @classmethod
    def _one_way(cls, value: Any) -> Any:
        given = [name for name in ("services", "manifests", "chart") if isinstance(value, dict) and name in value]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are two ways to say what runs: keep one")
        return value

    @property
    def edges_known(self) -> bool:
        """Whether the document says who calls whom."""
        return len(self.workloads) == 1 or any(one.calls for one in self.workloads)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        calls = [(one.name, one.calls) for one in self.workloads]
        _refuse(list(graph_problems(self.entry, calls, self.endpoints, known=self.edges_known)))
        return self


class ManifestApp(ClusterApp):
    """An app that comes as files of manifests."""

    manifests: Annotated[tuple[FilePath, ...], Field(min_length=1, strict=False)]
    """YAML or JSON files, or folders of such files, relative to the document's folder."""


class Chart(Strict):
    """A Helm chart; ``helm template`` renders it here, and nothing of Helm is installed in the cluster."""

    path: FilePath
    """The chart's folder or archive, relative to the document's folder."""
    values: Annotated[tuple[FilePath, ...], Listed] = ()
    """Files of values; a later one wins."""
    release: Name = "app"
    """Name of the release, which charts put into names."""


class ChartApp(ClusterApp):
    """An app that comes as a Helm chart."""

    chart: Chart
    """The chart and its values."""


class DemoShop(Strict):
    """The shop that comes with the product: the Sock Shop's eight services, as processes or as pods."""

    kind: Literal["demo-shop"] = "demo-shop"
    """The shipped demo shop."""
    image: Image | None = None
    """The image of its pods; null: ``tidegauge.local/shop`` of this version, as ``docs/how-to/load-images.md`` makes it."""


class SockShop(Strict):
    """The Sock Shop of microservices-demo, from its published images: on Kubernetes only."""

    kind: Literal["sock-shop"]
    """The shipped manifests of the Sock Shop."""
    images: dict[Name, Image] = {}
    """Other images by the name of the container, as ``catalogue: example.org/catalogue:2@sha256:...``, for forks and mirrors."""
    required_metrics: Annotated[tuple[str, ...], Listed] | None = None
    """Metric names without which no recording starts; null: those of the published images. Forks may use others."""


class OwnApp(AppSettings):
    """Programs of your own, written out in the document."""

    kind: Literal["own-app"]
    """An app whose services are listed here."""
    name: Name = "own-app"
    """Shown in reports; part of what makes a recording reusable."""


class OwnManifests(ManifestApp):
    """Kubernetes manifests of your own."""

    kind: Literal["own-app"]
    """An app whose manifests are named here."""
    name: Name = "own-app"
    """Shown in reports; part of what makes a recording reusable."""


class OwnChart(ChartApp):
    """A Helm chart of your own."""

    kind: Literal["own-app"]
    """An app whose chart is named here."""
    name: Name = "own-app"
    """Shown in reports; part of what makes a recording reusable."""


class AppFile(AppSettings):
    """A file of ``configs/apps/`` that lists programs."""

    version: Literal[1]
    """Version of this format."""
    name: Name
    """The app's name; the file is called the same."""


class ManifestAppFile(ManifestApp):
    """A file of ``configs/apps/`` whose app comes as manifests, named relative to that folder."""

    version: Literal[1]
    """Version of this format."""
    name: Name
    """The app's name; the file is called the same."""


def _own_form(value: Any) -> str:
    """Which form of ``own-app`` is meant: the one whose key is there."""
    has = value.__contains__ if isinstance(value, dict) else lambda name: hasattr(value, name)
    return "own-chart" if has("chart") else "own-manifests" if has("manifests") else "own-services"


class _Flat:
    """The forms of ``own-app`` beside the other kinds in the JSON schema, where pydantic would nest them."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        schema["oneOf"] = [form for kind in schema["oneOf"] for form in kind.get("oneOf", [kind])]
        mapping = schema["discriminator"]["mapping"]
        schema["discriminator"]["mapping"] = {
            name: kind if isinstance(kind, str) else kind["oneOf"][0]["$ref"] for name, kind in mapping.items()
        }
        return schema


AppConfig = Annotated[
    DemoShop
    | SockShop
    | Annotated[
        Annotated[OwnApp, Tag("own-services")] | Annotated[OwnManifests, Tag("own-manifests")] | Annotated[OwnChart, Tag("own-chart")],
        Discriminator(_own_form),
    ],
    Field(discriminator="kind"),
    _Flat(),
]
"""Which app runs."""


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))
