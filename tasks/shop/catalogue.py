"""The service ``catalogue``: the socks, their tags and their pictures."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop import stock
from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer
from tasks.shop.metrics import Metrics
from tasks.shop.pictures import sock_svg
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS sock (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, name TEXT NOT NULL, picture TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
    price REAL NOT NULL, count INTEGER NOT NULL, pattern TEXT NOT NULL, colours TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sock_tag (sock_id TEXT NOT NULL REFERENCES sock, tag TEXT NOT NULL, PRIMARY KEY (sock_id, tag)) STRICT;
CREATE INDEX IF NOT EXISTS sock_tag_by_tag ON sock_tag (tag);
"""
ORDERS = {"id": "position", "name": "name", "price": "price"}
_SELECT = """
SELECT id, name, description, picture, price, count, (SELECT group_concat(tag) FROM sock_tag WHERE sock_id = sock.id) AS tags FROM sock
"""


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service, its database filled when it is new."""
    database = open_database(settings, metrics, SCHEMA)
    fill(database)
    shop = Catalogue(database)
    return Program(
        routes=(
            Route("/catalogue", shop.listed),
            Route("/catalogue/size", shop.size),
            Route("/catalogue/images/{name}", shop.picture),
            Route("/catalogue/{id}", shop.one),
            Route("/tags", shop.tags),
        ),
    )


def fill(database: sqlite3.Connection) -> None:
    """Put the shipped socks into an empty database, all or none."""
    if database.execute("SELECT 1 FROM sock").fetchone():
        return
    database.execute("BEGIN IMMEDIATE")
    with database:
        for position, sock in enumerate(stock.socks()):
            fields = (sock[name] for name in ("id", "name", "picture", "description", "price", "count", "pattern"))
            database.execute(
                "INSERT INTO sock (id, name, picture, description, price, count, pattern, position, colours) VALUES (?,?,?,?,?,?,?,?,?)",
                (*fields, position, json.dumps(sock["colours"])),
            )
            database.executemany("INSERT INTO sock_tag VALUES (?, ?)", [(sock["id"], tag) for tag in sock["tag"]])


class Catalogue:
    """Handlers over the catalogue's database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    async def listed(self, request: Request) -> Response:
        """``GET /catalogue?tags=a,b&order=price&page=1&size=5``."""
        query = request.query_params
        order = ORDERS.get(query.get("order", "id"))
        if order is None:
            raise HTTPException(400, f"order must be one of {', '.join(ORDERS)}")
        where, values = _tagged(query.get("tags", ""))
        size = _whole(query.get("size", "1000"), "size", 1000)
        page = _whole(query.get("page", "1"), "page", 10**6)
        rows = self._database.execute(f"{_SELECT}{where} ORDER BY {order} LIMIT ? OFFSET ?", (*values, size, (page - 1) * size))
        return answer([_shown(row) for row in rows])

    async def size(self, request: Request) -> Response:
        """``GET /catalogue/size?tags=a,b``: how many there are."""
        where, values = _tagged(request.query_params.get("tags", ""))
        (count,) = self._database.execute(f"SELECT count(*) FROM sock{where}", values).fetchone()  # noqa: S608 -- where is ours
        return answer({"size": count, "err": None})

    async def one(self, request: Request) -> Response:
        """``GET /catalogue/{id}``: 404 for an unknown id."""
        row = self._database.execute(f"{_SELECT} WHERE id = ?", (request.path_params["id"],)).fetchone()
        if row is None:
            raise HTTPException(404, "no sock has this id")
        return answer(_shown(row))

    async def tags(self, _: Request) -> Response:
        """``GET /tags``: all tags, sorted."""
        return answer(
            {"tags": [row["tag"] for row in self._database.execute("SELECT DISTINCT tag FROM sock_tag ORDER BY tag")], "err": None}
        )

    async def picture(self, request: Request) -> Response:
        """``GET /catalogue/images/{name}.svg``: a drawing of the sock."""
        name = request.path_params["name"].removesuffix(".svg")
        row = self._database.execute("SELECT pattern, colours FROM sock WHERE picture = ?", (name,)).fetchone()
        if row is None:
            raise HTTPException(404, "no sock has this picture")
        drawing = sock_svg(row["pattern"], json.loads(row["colours"]))
        return Response(drawing, media_type="image/svg+xml", headers={"cache-control": "max-age=3600"})


def _tagged(tags: str) -> tuple[str, tuple[str, ...]]:
    wanted = tuple(tag for tag in tags.split(",")[:50] if tag)
    marks = ", ".join("?" * len(wanted))
    return (f" WHERE id IN (SELECT sock_id FROM sock_tag WHERE tag IN ({marks}))" if wanted else ""), wanted  # noqa: S608 -- marks are ours


def _whole(text: str, name: str, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:8]) <= high:
        raise HTTPException(400, f"{name} must be a whole number from 1 to {high}")
    return int(text[:8])


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "name", "description", "price", "count")},
        "imageUrl": [f"/catalogue/images/{row['picture']}.svg"],
        "tag": sorted(row["tags"].split(",")) if row["tags"] else [],
    }
