"""The service ``carts``: what lies in which basket."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer, json_body, number_of, text_of
from tasks.shop.metrics import Metrics
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS item (
    cart_id TEXT NOT NULL, item_id TEXT NOT NULL, quantity INTEGER NOT NULL, unit_price REAL NOT NULL, touched_s REAL NOT NULL,
    PRIMARY KEY (cart_id, item_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS item_by_time ON item (touched_s);
"""
KEPT_S = 3600.0
"""A basket that nobody touched for this long is cleared, so that the database does not grow for ever."""
CLEAN_EVERY_S = 60.0
LONGEST_CART = 100
MOST_OF_ONE = 1000

log = logging.getLogger("shop.carts")


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service, with its cleaning in the background."""
    carts = Carts(open_database(settings, metrics, SCHEMA))
    return Program(
        routes=(
            Route("/carts/{cart}", carts.whole),
            Route("/carts/{cart}", carts.delete, methods=["DELETE"]),
            Route("/carts/{cart}/merge", carts.merge),
            Route("/carts/{cart}/items", carts.items),
            Route("/carts/{cart}/items", carts.add, methods=["POST"]),
            Route("/carts/{cart}/items", carts.change, methods=["PATCH"]),
            Route("/carts/{cart}/items/{item}", carts.remove, methods=["DELETE"]),
        ),
        background=(carts.clean_for_ever,),
    )


class Carts:
    """Handlers over the baskets' database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    async def whole(self, request: Request) -> Response:
        """``GET /carts/{cart}``: the basket with its items; an unknown one is empty."""
        cart = request.path_params["cart"]
        return answer({"customerId": cart, "items": self._items(cart)})

    async def items(self, request: Request) -> Response:
        """``GET /carts/{cart}/items``."""
        return answer(self._items(request.path_params["cart"]))

    async def add(self, request: Request) -> Response:
        """``POST /carts/{cart}/items {itemId, quantity, unitPrice}``: 201; the same item again adds to its quantity."""
        cart, (item, quantity, price) = request.path_params["cart"], _line(await json_body(request))
        (lines,) = self._database.execute("SELECT count(*) FROM item WHERE cart_id = ? AND item_id <> ?", (cart, item)).fetchone()
        if lines >= LONGEST_CART:
            raise HTTPException(400, f"a basket holds at most {LONGEST_CART} different items")
        self._database.execute(
            "INSERT INTO item VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET quantity = min(?, quantity + excluded.quantity), unit_price = excluded.unit_price, touched_s = excluded.touched_s",
            (cart, item, quantity, price, time.time(), MOST_OF_ONE),
        )
        return answer({"itemId": item, "quantity": quantity, "unitPrice": price}, 201)

    async def change(self, request: Request) -> Response:
        """``PATCH /carts/{cart}/items {itemId, quantity, unitPrice}``: 202; sets the quantity."""
        cart, (item, quantity, price) = request.path_params["cart"], _line(await json_body(request))
        self._database.execute(
            "UPDATE item SET quantity = ?, unit_price = ?, touched_s = ? WHERE cart_id = ? AND item_id = ?",
            (quantity, price, time.time(), cart, item),
        )
        return Response(status_code=202)

    async def remove(self, request: Request) -> Response:
        """``DELETE /carts/{cart}/items/{item}``: 202."""
        names = request.path_params
        self._database.execute("DELETE FROM item WHERE cart_id = ? AND item_id = ?", (names["cart"], names["item"]))
        return Response(status_code=202)

    async def delete(self, request: Request) -> Response:
        """``DELETE /carts/{cart}``: 202, whether it was there or not."""
        self._database.execute("DELETE FROM item WHERE cart_id = ?", (request.path_params["cart"],))
        return Response(status_code=202)

    async def merge(self, request: Request) -> Response:
        """``GET /carts/{cart}/merge?sessionId=``: 202; the session's items move into the basket."""
        cart, session = request.path_params["cart"], request.query_params.get("sessionId", "")
        if session and session != cart:
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:
                self._database.execute(
                    "INSERT INTO item SELECT ?, item_id, quantity, unit_price, touched_s FROM item WHERE cart_id = ? "
                    "ON CONFLICT DO UPDATE SET quantity = min(?, quantity + excluded.quantity)",
                    (cart, session, MOST_OF_ONE),
                )
                self._database.execute("DELETE FROM item WHERE cart_id = ?", (session,))
        return Response(status_code=202)

    def clean(self, now_s: float) -> int:
        """Clear the baskets untouched for an hour before *now_s*; the number of items removed."""
        return self._database.execute("DELETE FROM item WHERE touched_s < ?", (now_s - KEPT_S,)).rowcount

    async def clean_for_ever(self) -> None:
        """Clean once a minute."""
        while True:
            removed = self.clean(time.time())
            if removed:
                log.info("cleared %d items of old baskets", removed)
            await asyncio.sleep(CLEAN_EVERY_S)

    def _items(self, cart: str) -> list[dict[str, Any]]:
        rows = self._database.execute("SELECT item_id, quantity, unit_price FROM item WHERE cart_id = ? ORDER BY item_id", (cart,))
        return [{"itemId": row["item_id"], "quantity": row["quantity"], "unitPrice": row["unit_price"]} for row in rows]


def _line(body: dict[str, Any]) -> tuple[str, int, float]:
    quantity = number_of({"quantity": 1, **body}, "quantity", 1, MOST_OF_ONE)
    return text_of(body, "itemId"), int(quantity), float(number_of(body, "unitPrice", 0, 1e6))
