"""One service as an ASGI application: its routes, its health and metrics, its background work, its errors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from tasks.shop.messages import answer
from tasks.shop.metrics import Metrics, Timed
from tasks.shop.peers import PeerError

log = logging.getLogger("shop")

ErrorPage = Callable[[Request, int, str], Response]


@dataclass(frozen=True, slots=True)
class Program:
    """What makes one service different from the others."""

    routes: tuple[BaseRoute, ...]
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Each runs from start to end of the service, and is started again should it fail."""
    close: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Awaited at the end, in order."""
    error_page: ErrorPage | None = None
    """How an error is shown; None: as JSON."""


def application(program: Program, metrics: Metrics) -> ASGIApp:
    """The service made of *program*, with ``/health`` and ``/metrics``, timed."""
    show = program.error_page or _json_error

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return show(request, error.status_code, error.detail)

    async def peer_failed(request: Request, error: Exception) -> Response:
        log.error("%s %s failed: %s", request.method, request.url.path, error)
        return show(request, 500, str(error))

    async def failed(request: Request, _: Exception) -> Response:
        return show(request, 500, "the service made a mistake; it was logged")

    async def health(_: Request) -> Response:
        return answer({"health": [{"service": metrics.service, "status": "OK", "time": time.time()}]})

    async def shown(_: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_forever(work)) for work in program.background]
        gc.collect()
        gc.freeze()
        log.info("%s is ready", metrics.service)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for close in program.close:
            await close()

    inner = Starlette(
        routes=[*program.routes, Route("/health", health), Route("/metrics", shown)],
        exception_handlers={HTTPException: refused, PeerError: peer_failed, Exception: failed},
        lifespan=lifespan,
    )
    return Timed(inner, metrics)


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("background work failed; it starts again in a second")
        await asyncio.sleep(1.0)


def _json_error(_: Request, status: int, problem: str) -> Response:
    return answer({"status_code": status, "error": problem}, status)
