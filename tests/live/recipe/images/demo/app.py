"""A small service with metrics: it answers, burns CPU (``/burn?ms=``) or takes memory (``/eat?mb=``) when asked to."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SERVICE = os.environ.get("SERVICE", "demo")
DURATION = Histogram(
    "request_duration_seconds", "Time (in seconds) spent serving HTTP requests.", ["service", "method", "route", "status_code"]
)
EATEN: list[bytes] = []
Handler = Callable[[Request], Awaitable[Response]]


def timed(name: str, handler: Handler) -> Handler:
    """*handler*, with its time in the histogram under the route *name*."""

    async def measured(request: Request) -> Response:
        begun_s = time.perf_counter()
        response = await handler(request)
        DURATION.labels(SERVICE, request.method, name, str(response.status_code)).observe(time.perf_counter() - begun_s)
        return response

    return measured


async def root(request: Request) -> Response:
    """Who answers."""
    return JSONResponse({"service": SERVICE, "host": os.uname().nodename, "pid": os.getpid()})


async def burn(request: Request) -> Response:
    """Keep a core busy for ``ms`` milliseconds of wall time."""
    until_s = time.perf_counter() + float(request.query_params.get("ms", "10")) / 1000
    turns = 0
    while time.perf_counter() < until_s:
        turns += 1
    return JSONResponse({"turns": turns})


async def eat(request: Request) -> Response:
    """Take ``mb`` MiB more, for good; random bytes, so that no page is shared."""
    EATEN.append(os.urandom(int(request.query_params.get("mb", "10")) << 20))
    return JSONResponse({"mb": sum(map(len, EATEN)) >> 20})


async def metrics(request: Request) -> Response:
    """The page that Prometheus scrapes."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def health(request: Request) -> Response:
    """Alive."""
    return PlainTextResponse("ok")


app = Starlette(
    routes=[
        Route("/", timed("root", root)),
        Route("/burn", timed("burn", burn)),
        Route("/eat", timed("eat", eat)),
        Route("/metrics", metrics),
        Route("/health", health),
    ]
)
