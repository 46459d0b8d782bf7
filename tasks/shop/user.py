"""The service ``user``: customers, their logins, addresses and cards."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import sqlite3
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop import stock
from tasks.shop.application import Program
from tasks.shop.database import open_database
from tasks.shop.messages import answer, json_body, text_of
from tasks.shop.metrics import Metrics
from tasks.shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS customer (
    id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    salt BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS address (
    id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customer, number TEXT NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL,
    postcode TEXT NOT NULL, country TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS address_by_customer ON address (customer_id);
CREATE TABLE IF NOT EXISTS card (
    id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customer, last_four TEXT NOT NULL, expires TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS card_by_customer ON card (customer_id);
"""
ADDRESS = ("number", "street", "city", "postcode", "country")
DEMO_ADDRESS = ("246", "Whitelees Road", "Glasgow", "G67 3DL", "United Kingdom")


def build(settings: Settings, metrics: Metrics) -> Program:
    """The service, its database filled when it is new."""
    database = open_database(settings, metrics, SCHEMA)
    users = Users(database)
    users.fill(stock.customers())
    return Program(
        routes=(
            Route("/login", users.login),
            Route("/register", users.register, methods=["POST"]),
            Route("/customers", users.listed),
            Route("/customers/{id}", users.one),
            Route("/customers/{id}/addresses", users.addresses),
            Route("/customers/{id}/cards", users.cards),
            Route("/addresses", users.add_address, methods=["POST"]),
            Route("/addresses/{id}", users.address),
            Route("/cards", users.add_card, methods=["POST"]),
            Route("/cards/{id}", users.card),
        )
    )


class Users:
    """Handlers over the customers' database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def fill(self, customers: list[dict[str, Any]]) -> None:
        """Put *customers* into an empty database, all or none, each with an address and a card."""
        if self._database.execute("SELECT 1 FROM customer").fetchone():
            return
        self._database.execute("BEGIN IMMEDIATE")
        with self._database:
            for number, customer in enumerate(customers):
                names = {name: customer[name] for name in ("username", "firstName", "lastName", "password")}
                self._insert(customer["id"], names)
                self._insert_address(customer["id"], DEMO_ADDRESS)
                self._insert_card(customer["id"], f"{8080 + number}", "08/29")

    async def login(self, request: Request) -> Response:
        """``GET /login`` with basic authentication: the customer, or 401."""
        name, password = credentials(request.headers.get("authorization", ""))
        row = self._database.execute("SELECT * FROM customer WHERE username = ?", (name,)).fetchone()
        salt = row["salt"] if row else b"no such customer"
        if not hmac.compare_digest(hashed(password, salt), row["hash"] if row else b""):
            raise HTTPException(401, "wrong user name or password")
        return answer({"user": self._customer(row)})

    async def register(self, request: Request) -> Response:
        """``POST /register {username, password, firstName, lastName}``: 200 with the id; 409 when the name is taken."""
        body = await json_body(request)
        names = {name: text_of(body, name) for name in ("username", "firstName", "lastName", "password")}
        if ":" in names["username"]:
            raise HTTPException(400, "username must not contain a colon")
        customer = secrets.token_hex(12)
        try:
            self._insert(customer, names)
        except sqlite3.IntegrityError:
            raise HTTPException(409, "this user name is taken") from None
        return answer({"id": customer})

    async def listed(self, _: Request) -> Response:
        """``GET /customers``: the first hundred."""
        rows = self._database.execute("SELECT * FROM customer ORDER BY id LIMIT 100").fetchall()
        return answer({"_embedded": {"customer": [self._customer(row) for row in rows]}})

    async def one(self, request: Request) -> Response:
        """``GET /customers/{id}``, with links to its addresses and cards."""
        return answer(self._customer(self._row("customer", request)))

    async def addresses(self, request: Request) -> Response:
        """``GET /customers/{id}/addresses``."""
        self._row("customer", request)
        return answer({"_embedded": {"address": self._all("address", request.path_params["id"])}})

    async def cards(self, request: Request) -> Response:
        """``GET /customers/{id}/cards``."""
        self._row("customer", request)
        return answer({"_embedded": {"card": self._all("card", request.path_params["id"])}})

    async def address(self, request: Request) -> Response:
        """``GET /addresses/{id}``."""
        return answer(_address(self._row("address", request)))

    async def card(self, request: Request) -> Response:
        """``GET /cards/{id}``: only the last four digits are known."""
        return answer(_card(self._row("card", request)))

    async def add_address(self, request: Request) -> Response:
        """``POST /addresses {userID, number, street, city, postcode, country}``: 200 with the id."""
        body = await json_body(request)
        return answer({"id": self._insert_address(self._known(body), tuple(text_of(body, name) for name in ADDRESS))})

    async def add_card(self, request: Request) -> Response:
        """``POST /cards {userID, longNum, expires}``: 200 with the id; the number itself is not kept."""
        body = await json_body(request)
        number = text_of(body, "longNum", longest=19).replace(" ", "")
        if not number.isdigit() or len(number) < 12:
            raise HTTPException(400, "longNum must be 12 to 19 digits")
        return answer({"id": self._insert_card(self._known(body), number[-4:], text_of(body, "expires", longest=7))})

    def _known(self, body: dict[str, Any]) -> str:
        customer = text_of(body, "userID")
        if not self._database.execute("SELECT 1 FROM customer WHERE id = ?", (customer,)).fetchone():
            raise HTTPException(404, "no customer has this id")
        return customer

    def _row(self, table: str, request: Request) -> sqlite3.Row:
        row: sqlite3.Row | None = self._database.execute(f"SELECT * FROM {table} WHERE id = ?", (request.path_params["id"],)).fetchone()  # noqa: S608 -- table is ours
        if row is None:
            raise HTTPException(404, f"no {table} has this id")
        return row

    def _all(self, table: str, customer: str) -> list[dict[str, Any]]:
        shape = _address if table == "address" else _card
        rows = self._database.execute(f"SELECT * FROM {table} WHERE customer_id = ? ORDER BY id LIMIT 100", (customer,))  # noqa: S608 -- table is ours
        return [shape(row) for row in rows]

    def _customer(self, row: sqlite3.Row) -> dict[str, Any]:
        customer = row["id"]
        address = self._database.execute("SELECT id FROM address WHERE customer_id = ? ORDER BY rowid DESC", (customer,)).fetchone()
        card = self._database.execute("SELECT id FROM card WHERE customer_id = ? ORDER BY rowid DESC", (customer,)).fetchone()
        links = {"customer": {"href": f"/customers/{customer}"}}
        links |= {"address": {"href": f"/addresses/{address['id']}"}} if address else {}
        links |= {"card": {"href": f"/cards/{card['id']}"}} if card else {}
        names = {"username": row["username"], "firstName": row["first_name"], "lastName": row["last_name"]}
        return {"id": customer, **names, "_links": links}

    def _insert(self, customer: str, names: dict[str, str]) -> None:
        salt = secrets.token_bytes(16)
        values = (customer, names["username"], names["firstName"], names["lastName"], salt, hashed(names["password"], salt))
        self._database.execute("INSERT INTO customer VALUES (?, ?, ?, ?, ?, ?)", values)

    def _insert_address(self, customer: str, values: tuple[str, ...]) -> str:
        address = secrets.token_hex(12)
        self._database.execute("INSERT INTO address VALUES (?, ?, ?, ?, ?, ?, ?)", (address, customer, *values))
        return address

    def _insert_card(self, customer: str, last_four: str, expires: str) -> str:
        card = secrets.token_hex(12)
        self._database.execute("INSERT INTO card VALUES (?, ?, ?, ?)", (card, customer, last_four, expires))
        return card


def credentials(header: str) -> tuple[str, str]:
    """
    User name and password of an ``Authorization: Basic`` header.

    Raises:
        HTTPException: 401, it is missing or not of that form.
    """
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = password = ""
    if scheme.lower() != "basic" or not colon or len(password) > 200:
        raise HTTPException(401, "log in with a user name and a password")
    return name, password


def hashed(password: str, salt: bytes) -> bytes:
    """Scrypt of *password*, at a cost of a millisecond: the demonstration's passwords are public anyway."""
    return hashlib.scrypt(password.encode(), salt=salt, n=512, r=8, p=1, dklen=32)


def _address(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", *ADDRESS)}


def _card(row: sqlite3.Row) -> dict[str, Any]:
    return {"id": row["id"], "longNum": f"************{row['last_four']}", "expires": row["expires"]}
