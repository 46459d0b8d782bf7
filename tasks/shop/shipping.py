"""The service ``shipping``: takes shipments into a durable queue, and hands them to queue-master one after the other."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer, json_body, text_of
from tasks.shop.metrics import Metrics
from tasks.shop.peers import PeerError, Peers
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, queued_s REAL NOT NULL
) STRICT;
"""
RETRY_S = 0.25

log = logging.getLogger("shop.shipping")


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service; ``queue_depth`` shows how many shipments wait for queue-master."""
    queue = Queue(open_database(settings, metrics, SCHEMA))
    metrics.gauge("queue_depth", "Shipments that queue-master has not taken yet.", queue.depth)
    peers = Peers(settings.peers)
    shipping = Shipping(queue, peers)
    return Program(
        routes=(
            Route("/shipping", shipping.add, methods=["POST"]),
            Route("/shipping", shipping.listed),
            Route("/shipping/{id}", shipping.one),
        ),
        background=(shipping.deliver_for_ever,),
        close=(peers.close,),
    )


class Queue:
    """Shipments in the order in which they came; what is in it survives the service."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def put(self, shipment: str, name: str, now_s: float) -> None:
        """Append one shipment; the same id twice is one shipment."""
        self._database.execute("INSERT INTO queue (id, name, queued_s) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (shipment, name, now_s))

    def head(self) -> dict[str, str] | None:
        """The oldest shipment, or None."""
        row = self._database.execute("SELECT id, name FROM queue ORDER BY position LIMIT 1").fetchone()
        return None if row is None else dict(row)

    def done(self, shipment: str) -> None:
        """Remove one shipment."""
        self._database.execute("DELETE FROM queue WHERE id = ?", (shipment,))

    def depth(self) -> int:
        """How many wait."""
        return int(self._database.execute("SELECT count(*) FROM queue").fetchone()[0])

    def waiting(self, most: int) -> list[dict[str, str]]:
        """The oldest shipments, at most *most*."""
        return [dict(row) for row in self._database.execute("SELECT id, name FROM queue ORDER BY position LIMIT ?", (most,))]

    def find(self, shipment: str) -> dict[str, str] | None:
        """One waiting shipment, or None."""
        row = self._database.execute("SELECT id, name FROM queue WHERE id = ?", (shipment,)).fetchone()
        return None if row is None else dict(row)


class Shipping:
    """Handlers, and the work that empties the queue."""

    def __init__(self, queue: Queue, peers: Peers) -> None:
        self._queue = queue
        self._peers = peers
        self._arrived = asyncio.Event()

    async def add(self, request: Request) -> Response:
        """``POST /shipping {id, name}``: 201 once it is in the queue, on disk."""
        body = await json_body(request)
        shipment = {"id": text_of(body, "id"), "name": text_of(body, "name")}
        self._queue.put(shipment["id"], shipment["name"], time.time())
        self._arrived.set()
        return answer(shipment, 201)

    async def listed(self, _: Request) -> Response:
        """``GET /shipping``: the shipments that wait, the oldest hundred."""
        return answer(self._queue.waiting(100))

    async def one(self, request: Request) -> Response:
        """``GET /shipping/{id}``: 404 when it does not wait (any more)."""
        found = self._queue.find(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "no such shipment waits")
        return answer(found)

    async def deliver_for_ever(self) -> None:
        """Hand the head of the queue to queue-master; keep it until it was taken."""
        stuck = False
        while True:
            self._arrived.clear()
            shipment = self._queue.head()
            if shipment is None:
                await self._arrived.wait()
                continue
            try:
                reply = await self._peers.ask("queue-master", "POST", "/deliveries", body=shipment)
                problem = None if reply.ok else f"queue-master answered {reply.status}"
            except PeerError as error:
                problem = str(error)
            if problem is None:
                self._queue.done(shipment["id"])
            if (problem is not None) != stuck:
                log.error("deliveries wait: %s", problem) if problem else log.info("deliveries go on")
                stuck = problem is not None
            if stuck:
                await asyncio.sleep(RETRY_S)
