"""What the services show on /metrics."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import ErrorPage, Program, application
from tasks.shop.metrics import BUCKETS_S, Metrics
from tasks.shop.peers import PeerError

COLOURFUL = "3395a43e-2d88-40de-b95f-e00e1502085b"


@pytest.mark.shop
def test_every_service_shows_its_process_and_its_requests(shop, shopper):
    """Names and labels are the Sock Shop's, in each service that was asked something."""
    shopper.post("/cart", json={"id": COLOURFUL})
    shopper.post("/orders")
    shop.delivered()

    for service in shop.app.names:
        samples = shop.samples(service)
        names = {name for name, _ in samples}
        assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"} <= names
        counts = [dict(labels) for name, labels in samples if name == "request_duration_seconds_count"]
        assert counts
        assert all(set(labels) == {"service", "method", "route", "status_code"} and labels["service"] == service for labels in counts)
        edges = {float(dict(labels)["le"]) for name, labels in samples if name == "request_duration_seconds_bucket"}
        assert edges == {*BUCKETS_S, float("inf")}
        assert not [name for name in names if name.endswith("_created")]


@pytest.mark.shop
def test_the_shops_own_metrics(shop):
    """Queue depth, database sizes, orders placed and declined; the app's file requires only what is there."""
    everything = {name for service in shop.app.names for name, _ in shop.samples(service)}
    sizes = {
        service: shop.value(service, "database_bytes") for service in ("catalogue", "carts", "orders", "user", "shipping", "queue-master")
    }

    assert set(shop.app.required_metrics) <= everything
    assert all(size >= 4096 for size in sizes.values())
    assert shop.value("shipping", "queue_depth") >= 0


@pytest.mark.shop
def test_orders_are_counted_and_their_database_grows(shop, shopper):
    """Each order placed counts once; many make the database larger."""
    shop.delivered()
    placed, size = shop.value("orders", "orders_placed_total"), shop.value("orders", "database_bytes")
    for _ in range(25):
        shopper.post("/cart", json={"id": COLOURFUL})
        assert shopper.post("/orders").status_code == 201

    assert shop.value("orders", "orders_placed_total") == placed + 25
    assert shop.value("orders", "database_bytes") > size


@pytest.mark.shop
def test_routes_are_templates_whatever_is_asked(shop, shopper):
    """Raw paths, unknown ones and odd methods make no new series."""
    declared = {"unmatched"}
    with shop.client() as stranger:
        for number in range(30):
            stranger.get(f"/catalogue/{number}")
            stranger.get(f"/nowhere/{number}")
            stranger.request(f"ODD{number}", "/")
            shopper.get(f"/orders/{number}")
    for service in shop.app.names:
        routes = {dict(labels)["route"] for name, labels in shop.samples(service) if name == "request_duration_seconds_count"}
        declared |= {route for route in routes if not any(digit in route for digit in "0123456789")}
        assert routes <= declared
        methods = {dict(labels)["method"] for name, labels in shop.samples(service) if name == "request_duration_seconds_count"}
        assert methods <= {"GET", "POST", "PATCH", "DELETE", "PUT", "other"}
    assert {"/catalogue/{id}", "/orders/{id}", "unmatched"} <= declared


@pytest.mark.shop
def test_those_who_watch_are_not_counted(shop):
    """/metrics and /health leave the request histogram as it is."""
    shop.delivered()
    before = shop.requests("user")
    for path in ("/metrics", "/health"):
        shop.watcher.get(shop.address("user") + path)

    assert shop.requests("user") == before


async def _boom(_: Request) -> Response:
    raise RuntimeError("boom")


async def _peer_away(_: Request) -> Response:
    raise PeerError("carts", "GET /", "no answer within 5 s")


def _no_page(_request: Request, _status: int, _problem: str) -> Response:
    raise RuntimeError("not even that")


def _asked(path: str, error_page: ErrorPage | None = None) -> tuple[int, dict[str, float]]:
    metrics = Metrics("carts")
    app = application(Program(routes=(Route("/boom/{id}", _boom), Route("/away", _peer_away)), error_page=error_page), metrics)

    async def ask() -> int:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return (await client.get(path)).status_code

    status = asyncio.run(ask())
    samples = [one for family in metrics.registry.collect() for one in family.samples if one.name == "request_duration_seconds_count"]
    return status, {f"{one.labels['route']} {one.labels['status_code']}": one.value for one in samples}


@pytest.mark.parametrize(("path", "route"), [("/boom/7", "/boom/{id}"), ("/away", "/away")])
def test_a_handler_that_throws_is_counted_as_500(path, route):
    """Errors are not lost, as they are in the Sock Shop's Java services."""
    assert _asked(path) == (500, {f"{route} 500": 1.0})


def test_a_request_that_gets_no_answer_at_all_is_counted_as_500():
    """Even when showing the error fails as well."""
    assert _asked("/boom/7", _no_page)[1] == {"/boom/{id} 500": 1.0}
