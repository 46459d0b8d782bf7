"""Databases by themselves: bounded, idempotent, in order."""

import sqlite3

from tasks.shop import carts, catalogue, shipping
from tasks.shop.database import size_bytes


def _database(schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.executescript(schema)
    return connection


def test_old_baskets_are_cleared():
    """Untouched for an hour is gone; younger ones stay."""
    database = _database(carts.SCHEMA)
    for cart, touched_s in (("old", 0.0), ("new", 3000.0)):
        database.execute("INSERT INTO item VALUES (?, 'a', 1, 1.0, ?)", (cart, touched_s))

    assert carts.Carts(database).clean(now_s=4000.0) == 1
    assert [row["cart_id"] for row in database.execute("SELECT cart_id FROM item")] == ["new"]


def test_the_catalogue_is_filled_once():
    """A second start leaves the socks as they are."""
    database = _database(catalogue.SCHEMA)
    catalogue.fill(database)
    database.execute("UPDATE sock SET count = 1")
    catalogue.fill(database)

    assert database.execute("SELECT count(*), sum(count) FROM sock").fetchone()[:] == (10, 10)


def test_the_queue_keeps_its_order_and_takes_each_shipment_once():
    """First in, first out; the same id twice is one."""
    queue = shipping.Queue(_database(shipping.SCHEMA))
    for name in ("b", "a", "b"):
        queue.put(name, "user", 0.0)

    assert [one["id"] for one in queue.waiting(10)] == ["b", "a"]
    queue.done("b")
    assert (queue.head(), queue.depth()) == ({"id": "a", "name": "user"}, 1)


def test_a_databases_size_grows_with_what_is_in_it():
    """Pages times page size."""
    database = _database("CREATE TABLE t (x BLOB)")
    before = size_bytes(database)
    database.execute("INSERT INTO t VALUES (zeroblob(100000))")

    assert before < 100_000 <= size_bytes(database)
