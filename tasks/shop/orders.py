"""The service ``orders``: fetches what an order needs, has it paid and shipped, and keeps it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer, json_body
from tasks.shop.metrics import Metrics
from tasks.shop.peers import Peers
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS customer_order (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, customer_id TEXT NOT NULL, total REAL NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS customer_order_by_customer ON customer_order (customer_id, position);
"""
SHIPPING_PRICE = 4.99
SOURCES = {
    "customer": ("user", re.compile(r"/customers/[\w-]{1,64}")),
    "address": ("user", re.compile(r"/addresses/[\w-]{1,64}")),
    "card": ("user", re.compile(r"/cards/[\w-]{1,64}")),
    "items": ("carts", re.compile(r"/carts/[\w-]{1,64}/items")),
}
"""What a new order names by path, at which service, and what such a path looks like."""

log = logging.getLogger("shop.orders")


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service; it counts the orders it places and those that payment declines."""
    peers = Peers(settings.peers)
    orders = Orders(open_database(settings, metrics, SCHEMA), peers, metrics)
    return Program(
        routes=(
            Route("/orders", orders.place, methods=["POST"]),
            Route("/orders", orders.listed),
            Route("/orders/search/customerId", orders.of_customer),
            Route("/orders/{id}", orders.one),
        ),
        close=(peers.close,),
    )


class Orders:
    """Handlers over the orders' database."""

    def __init__(self, database: sqlite3.Connection, peers: Peers, metrics: Metrics) -> None:
        self._database = database
        self._peers = peers
        self._placed = metrics.counter("orders_placed", "Orders paid, handed to shipping and kept.")
        self._declined = metrics.counter("orders_declined", "Orders that payment declined.")

    async def place(self, request: Request) -> Response:
        """``POST /orders {customer, address, card, items}``, each a path: 201 with the order, 406 when it is declined."""
        parts = await self._fetch(await json_body(request))
        total = total_of(parts["items"])
        await self._pay(parts, total)
        order = secrets.token_hex(12)
        shipment = await self._peers.ask("shipping", "POST", "/shipping", body={"id": order, "name": parts["customer"]["id"]})
        if not shipment.ok:
            raise HTTPException(500, f"shipping answered {shipment.status}")
        document = {
            "id": order,
            "customerId": parts["customer"]["id"],
            **parts,
            "shipment": shipment.json(),
            "date": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "total": total,
        }
        self._keep(document)
        self._placed.inc()
        log.info("order %s placed: %d items, total %.2f", order, len(parts["items"]), total)
        return answer(document, 201)

    async def listed(self, _: Request) -> Response:
        """``GET /orders``: the last twenty."""
        return answer({"_embedded": {"customerOrders": self._documents("", ())}})

    async def of_customer(self, request: Request) -> Response:
        """``GET /orders/search/customerId?custId=``: the last twenty of one customer."""
        customer = request.query_params.get("custId", "")
        return answer({"_embedded": {"customerOrders": self._documents("WHERE customer_id = ?", (customer,))}})

    async def one(self, request: Request) -> Response:
        """``GET /orders/{id}``."""
        found = self._documents("WHERE id = ?", (request.path_params["id"],))
        if not found:
            raise HTTPException(404, "no order has this id")
        return answer(found[0])

    async def _fetch(self, body: dict[str, Any]) -> dict[str, Any]:
        paths = {name: str(body.get(name, "")) for name in SOURCES}
        wrong = [name for name, path in paths.items() if not SOURCES[name][1].fullmatch(path)]
        if wrong:
            raise HTTPException(406, f"an order needs customer, address, card and items; wrong or missing: {', '.join(wrong)}")
        replies = await asyncio.gather(*(self._peers.ask(SOURCES[name][0], "GET", path) for name, path in paths.items()))
        for name, reply in zip(paths, replies, strict=True):
            if not reply.ok:
                raise HTTPException(406, f"there is no such {name}")
        parts: dict[str, Any] = {name: reply.json() for name, reply in zip(paths, replies, strict=True)}
        if not parts["items"]:
            raise HTTPException(400, "the basket is empty")
        parts["customer"].pop("_links", None)
        return parts

    async def _pay(self, parts: Mapping[str, Any], total: float) -> None:
        asked = {"address": parts["address"], "card": parts["card"], "customer": parts["customer"], "amount": total}
        reply = await self._peers.ask("payment", "POST", "/paymentAuth", body=asked)
        verdict = reply.json() if reply.ok else None
        if not isinstance(verdict, dict) or not verdict.get("authorised"):
            problem = verdict.get("message", "") if isinstance(verdict, dict) else f"payment answered {reply.status}"
            self._declined.inc()
            log.info("order declined: total %.2f: %s", total, problem)
            raise HTTPException(406, problem or "payment declined")

    def _keep(self, document: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO customer_order (id, customer_id, total, document) VALUES (?, ?, ?, ?)",
            (document["id"], document["customerId"], document["total"], json.dumps(document, separators=(",", ":"))),
        )

    def _documents(self, where: str, values: tuple[str, ...]) -> list[dict[str, Any]]:
        rows = self._database.execute(f"SELECT document FROM customer_order {where} ORDER BY position DESC LIMIT 20", values)  # noqa: S608 -- where is ours
        return [json.loads(row["document"]) for row in rows]


def total_of(items: list[dict[str, Any]]) -> float:
    """The price of *items* with shipping, in whole cents."""
    cents: int = sum(round(item["unitPrice"] * 100) * item["quantity"] for item in items) + round(SHIPPING_PRICE * 100)
    return cents / 100
