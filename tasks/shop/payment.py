"""The service ``payment``: says yes up to a limit."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.messages import answer, json_body, number_of
from tasks.shop.metrics import Metrics
from tasks.shop.settings import Settings


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service; it needs no database."""
    declined = metrics.counter("payments_declined", "Payments above the limit.")

    async def authorise(request: Request) -> Response:
        amount = number_of(await json_body(request), "amount", 0.01, 1e9)
        if amount > settings.decline_above:
            declined.inc()
            return answer({"authorised": False, "message": f"Payment declined: amount exceeds {settings.decline_above:.2f}"})
        return answer({"authorised": True, "message": "Payment authorised"})

    return Program(routes=(Route("/paymentAuth", authorise, methods=["POST"]),))
