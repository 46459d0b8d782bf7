"""The queue between shipping and queue-master: it grows, drains, and survives."""

import signal
import time

import pytest

pytestmark = pytest.mark.shop


def _send(shop, *names):
    with shop.client("shipping") as shipping:
        for name in names:
            assert shipping.post("/shipping", json={"id": name, "name": "user"}).status_code == 201


def test_the_queue_grows_while_queue_master_is_stopped_and_drains_afterwards(shop):
    """Orders go on: shipments wait, and none is lost or sent twice."""
    shop.delivered()
    sent = shop.value("queue-master", "deliveries_sent_total")
    master = shop.children["queue-master"]
    master.send_signal(signal.SIGSTOP)
    try:
        depths = []
        for number in range(3):
            _send(shop, *(f"stopped-{number}-{one}" for one in range(4)))
            depths.append(shop.value("shipping", "queue_depth"))
    finally:
        master.send_signal(signal.SIGCONT)
    shop.delivered()

    assert depths == [4, 8, 12]
    assert shop.value("queue-master", "deliveries_sent_total") == sent + 12


def test_the_queue_survives_kill_9_of_shipping(some):
    """What was answered 201 is delivered, in order and once, by the next shipping that starts on the same folder."""
    some.start("shipping")
    _send(some, *(f"parcel-{number}" for number in range(20)))
    some.children["shipping"].kill()
    some.children["shipping"].wait()

    some.start("shipping")
    assert some.value("shipping", "queue_depth") == 20
    some.start("queue-master")
    some.delivered()

    with some.client("queue-master") as master:
        assert [one["id"] for one in master.get("/deliveries").json()] == [f"parcel-{number}" for number in reversed(range(20))]
    assert "deliveries wait" in some.log("shipping")
    assert "deliveries go on" in some.log("shipping")


def test_an_order_is_placed_though_queue_master_is_away(some):
    """Only the queue notices; the shopper does not wait."""
    some.start(*(name for name in some.app.names if name != "queue-master"))
    with some.client() as browser:
        browser.get("/login", auth=("user", "password"))
        browser.post("/cart", json={"id": "3395a43e-2d88-40de-b95f-e00e1502085b"})
        started = time.monotonic()
        assert browser.post("/orders").status_code == 201

    assert time.monotonic() - started < 4
    assert some.value("shipping", "queue_depth") == 1
