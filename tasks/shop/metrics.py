"""What each service shows on ``/metrics``, and the timer around its requests."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The Sock Shop's edges (.005 to 10 s) and finer ones, so that a 95th percentile of a few milliseconds can be told."""
UNTIMED = frozenset({"/metrics", "/health"})
"""Asked for by those who watch, not by those who shop: left out of the histogram."""
UNMATCHED = "unmatched"
"""The ``route`` of a request that no route takes; the raw path is never a label."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one service: its requests, its process, and what it adds itself."""

    def __init__(self, service: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library left it without types
        self.service = service
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._seconds = Histogram(
            "request_duration_seconds",
            "Time from the request's head to the end of the answer, in seconds.",
            ("service", "method", "route", "status_code"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show *value()* at each scrape."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def counter(self, name: str, meaning: str) -> Counter:
        """A count that starts at 0 and is shown as ``<name>_total`` at once."""
        return Counter(name, meaning, registry=self.registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        shown = method if method in METHODS else "other"
        self._seconds.labels(self.service, shown, route, str(status)).observe(seconds)

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class Timed:
    """An ASGI application with a timer around it; a handler that throws counts as 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and note how long it took."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            if route not in UNTIMED:
                self._metrics.observe(scope["method"], route, status, time.perf_counter() - started)
