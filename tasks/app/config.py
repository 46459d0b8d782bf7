"""The section ``app`` of the experiment document, and the form of the app files in ``configs/apps/``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tasks.base.model import Name, Seconds, Strict

HttpPath = Annotated[str, Field(pattern=r"^/[^\s#]*$", max_length=500)]
"""An absolute path on a service, perhaps with a query."""
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""The name of an environment variable."""
Text = Annotated[str, Field(max_length=4000)]
"""A short text."""


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class ServiceConfig(Strict):
    """One program of the app. ``{port}``, ``{data}``, ``{python}`` and ``{peer:NAME}`` are filled in in ``command`` and ``env``."""

    name: Name
    """Unique in the app."""
    command: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    """Program and arguments as a list; no shell is involved."""
    env: dict[EnvName, Text] = {}
    """Added to a minimal environment; ``http://{peer:carts}`` is where carts answers."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The loopback port that it always listens on; null: a free one is chosen and given as ``{port}``."""
    metrics_path: HttpPath | None = "/metrics"
    """Where it shows its metrics as Prometheus text; null: it shows none."""
    ready_path: HttpPath | None = None
    """Answers 200 once it is ready; null: an open port is enough."""
    memory_limit_bytes: Annotated[int, Field(ge=16 * 2**20)] | None = None
    """Above it the service is killed (OOMKilled) and started again; null: no limit."""
    calls: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """The services that it calls, whose address it gets by ``{peer:NAME}``."""


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


class AppSettings(Strict):
    """An app: its programs, who calls whom, and how to tell that it works."""

    services: Annotated[tuple[ServiceConfig, ...], Field(min_length=1, strict=False)]
    """The programs, in the order in which they are listed everywhere."""
    entry: Name
    """The service that users talk to; faults never hit it."""
    endpoints: dict[str, Annotated[tuple[Name, ...], BeforeValidator(_as_tuple)]] = {}
    """What a request to the entry service reaches, as ``GET /catalogue: [catalogue]``; one that is not listed may reach every service."""
    required_metrics: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Metric names that at least one service must show before a recording may start."""
    smoke: Annotated[tuple[SmokeStep, ...], Field(strict=False)] = ()
    """The functional test, in order; empty: a GET of the entry's ``ready_path`` or ``/``."""
    readiness_s: Seconds = 10.0
    """Time that a service is planned to need until it is ready, also after a restart; a cool-down is never shorter."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = tuple(_problems(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


class DemoShop(Strict):
    """The shop that comes with the product: the Sock Shop's eight services as processes."""

    kind: Literal["demo-shop"] = "demo-shop"
    """The shipped demo shop."""


class OwnApp(AppSettings):
    """Programs of your own, written out in the document."""

    kind: Literal["own-app"]
    """An app whose services are listed here."""
    name: Name = "own-app"
    """Shown in reports; part of what makes a recording reusable."""


class AppFile(AppSettings):
    """A file of ``configs/apps/``."""

    version: Literal[1]
    """Version of this format."""
    name: Name
    """The app's name; the file is called the same."""


AppConfig = Annotated[DemoShop | OwnApp, Field(discriminator="kind")]
"""Which app runs."""


def _problems(app: AppSettings) -> list[str]:
    names = [service.name for service in app.services]
    known = set(names)
    found = [f"two services are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    ports = [service.port for service in app.services if service.port is not None]
    found += [f"two services listen on port {port}" for port in sorted({p for p in ports if ports.count(p) > 1})]
    if app.entry not in known:
        found.append(f"entry: there is no service {app.entry}{nearest(app.entry, known)}")
    for service in app.services:
        found += [
            f"{service.name} calls {callee}, which is no service{nearest(callee, known)}" for callee in service.calls if callee not in known
        ]
        if service.name in service.calls:
            found.append(f"{service.name} calls itself")
    reachable = reachable_from(app.entry, {service.name: service.calls for service in app.services})
    for endpoint, reached in app.endpoints.items():
        found += [
            f"{endpoint!r} reaches {name}, to which no calls lead from {app.entry}{nearest(name, reachable)}"
            for name in reached
            if name not in reachable
        ]
    return found


def reachable_from(entry: str, calls: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The services that *entry* calls, directly or through others; itself only when it is called back."""
    found: set[str] = set()
    todo = list(calls.get(entry, ()))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(calls.get(name, ()))
    return frozenset(found)


def nearest(name: str, known: Mapping[str, object] | frozenset[str] | set[str]) -> str:
    """``; did you mean X?`` for the known name nearest to *name*, or nothing."""
    import difflib

    close = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f"; did you mean {close[0]}?" if close else ""
