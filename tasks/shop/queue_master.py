"""The service ``queue-master``: takes shipments from the queue and sends them off."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer, json_body, text_of
from tasks.shop.metrics import Metrics
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, sent_s REAL NOT NULL
) STRICT;
"""
REMEMBERED = 1000
"""The last deliveries, kept so that one that is handed over twice is sent once."""


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service."""
    database = open_database(settings, metrics, SCHEMA)
    sent = metrics.counter("deliveries_sent", "Shipments sent off, each counted once.")

    async def take(request: Request) -> Response:
        body = await json_body(request)
        shipment, name = text_of(body, "id"), text_of(body, "name")
        database.execute("BEGIN IMMEDIATE")
        with database:
            added = database.execute(
                "INSERT INTO delivery (id, name, sent_s) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (shipment, name, time.time())
            )
            new = added.rowcount == 1
            database.execute("DELETE FROM delivery WHERE position <= (SELECT max(position) FROM delivery) - ?", (REMEMBERED,))
        if new:
            sent.inc()
        return answer({"id": shipment, "name": name}, 201 if new else 200)

    async def listed(_: Request) -> Response:
        rows = database.execute("SELECT id, name, sent_s FROM delivery ORDER BY position DESC LIMIT 20")
        return answer([dict(row) for row in rows])

    return Program(routes=(Route("/deliveries", take, methods=["POST"]), Route("/deliveries", listed)))
