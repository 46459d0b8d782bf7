"""The front-end's API: the Sock Shop's requests and status codes."""

import pytest

pytestmark = pytest.mark.shop

COLOURFUL = "3395a43e-2d88-40de-b95f-e00e1502085b"
HOLY = "03fef6ac-1896-4ce8-bd69-b798f85c6e0b"


def test_the_nine_requests_of_a_journey(shop):
    """A new browser browses, logs in, fills its basket and orders."""
    with shop.client() as browser:
        socks = browser.get("/catalogue").json()
        statuses = [
            browser.get("/").status_code,
            browser.get("/login", auth=("Eve_Berger", "eve")).status_code,
            browser.get("/category.html").status_code,
            browser.get("/detail.html", params={"id": COLOURFUL}).status_code,
            browser.delete("/cart").status_code,
            browser.post("/cart", json={"id": COLOURFUL, "quantity": 1}).status_code,
            browser.get("/basket.html").status_code,
            browser.post("/orders").status_code,
        ]

    assert len(socks) == 10
    assert statuses == [200, 200, 200, 200, 202, 201, 200, 201]


def test_an_order_is_the_baskets_goods_with_shipping(shopper):
    """The answer tells customer, address, card, items and total, and the basket is empty afterwards."""
    shopper.post("/cart", json={"id": COLOURFUL, "quantity": 2})

    order = shopper.post("/orders").json()

    assert order["total"] == 2 * 18.00 + 4.99
    assert order["customer"]["username"] == "user"
    assert order["items"] == [{"itemId": COLOURFUL, "quantity": 2, "unitPrice": 18.0}]
    assert order["shipment"]["id"] == order["id"]
    assert shopper.get("/cart").json() == []
    assert shopper.get(f"/orders/{order['id']}").json() == order
    assert shopper.get("/orders").json()[0] == order


def test_the_dear_sock_is_declined(shop, shopper):
    """Holy with shipping is above the limit of payment: 406, counted, and the basket keeps it."""
    before = shop.value("orders", "orders_declined_total")
    shopper.post("/cart", json={"id": HOLY, "quantity": 1})

    answer = shopper.post("/orders")

    assert answer.status_code == 406
    assert "exceeds 100" in answer.json()["error"]
    assert shop.value("orders", "orders_declined_total") == before + 1
    assert [item["itemId"] for item in shopper.get("/cart").json()] == [HOLY]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/orders", None, 401),
        ("GET", "/orders", None, 401),
        ("GET", "/address", None, 401),
        ("GET", "/login", None, 401),
        ("POST", "/cart", {"id": "no-such-sock"}, 404),
        ("POST", "/cart", {"id": COLOURFUL, "quantity": 0}, 400),
        ("POST", "/cart", {"id": COLOURFUL, "quantity": 1001}, 400),
        ("POST", "/cart", {"id": COLOURFUL, "quantity": "1"}, 400),
        ("POST", "/cart", {}, 400),
        ("POST", "/cart", {"id": ".."}, 404),
        ("GET", "/catalogue/no-such-sock", None, 404),
        ("GET", "/catalogue/images/no.svg", None, 404),
        ("GET", "/catalogue?size=0", None, 400),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/cart", None, 405),
        ("DELETE", "/cart", None, 202),
    ],
)
def test_what_a_stranger_is_told(shop, method, path, body, status):
    """Mistakes are the client's and get a 4xx; an empty basket can be emptied."""
    with shop.client() as browser:
        assert browser.request(method, path, json=body).status_code == status


def test_an_empty_basket_cannot_be_ordered(shopper):
    """It is a mistake (400), not a decline (406)."""
    shopper.delete("/cart")

    assert shopper.post("/orders").status_code == 400


def test_a_body_that_is_too_large_is_refused(shopper):
    """More than 64 KiB is 413."""
    assert shopper.post("/cart", content=b"[" * 70_000).status_code == 413


def test_a_basket_survives_the_login(shop):
    """What was put into the basket before logging in is there afterwards."""
    with shop.client() as browser:
        browser.post("/cart", json={"id": COLOURFUL, "quantity": 3})
        before = browser.cookies["md.sid"]
        browser.get("/login", auth=("user1", "password"))

        assert browser.cookies["md.sid"] != before
        assert [item["quantity"] for item in browser.get("/cart").json()] == [3]


def test_two_browsers_of_one_customer_have_two_baskets(shop, shopper):
    """One of them emptying its basket never disturbs an order of the other."""
    with shop.client() as other:
        other.get("/login", auth=("user", "password"))
        shopper.post("/cart", json={"id": COLOURFUL})
        other.delete("/cart")

        assert len(shopper.get("/cart").json()) == 1


def test_quantities_can_be_changed_and_socks_removed(shopper):
    """Update sets, 0 removes, and so does DELETE."""
    shopper.post("/cart", json={"id": COLOURFUL, "quantity": 1})
    assert shopper.post("/cart/update", json={"id": COLOURFUL, "quantity": 5}).status_code == 202
    assert shopper.get("/cart").json()[0]["quantity"] == 5
    assert shopper.post("/cart/update", json={"id": COLOURFUL, "quantity": 0}).status_code == 202
    assert shopper.get("/cart").json() == []
    shopper.post("/cart", json={"id": COLOURFUL})
    assert shopper.delete(f"/cart/{COLOURFUL}").status_code == 202
    assert shopper.get("/cart").json() == []


def test_a_new_customer_needs_an_address_and_a_card(shop):
    """Without them an order is refused like in the Sock Shop (406); with them it is placed."""
    name = {"username": "newcomer", "password": "secret", "firstName": "New", "lastName": "Comer"}
    address = {"number": "1", "street": "High Street", "city": "Leith", "postcode": "EH6", "country": "United Kingdom"}
    with shop.client() as browser:
        assert browser.post("/register", json=name).status_code == 200
        assert browser.post("/register", json=name).status_code == 409
        browser.post("/cart", json={"id": COLOURFUL})
        assert browser.post("/orders").status_code == 406
        assert browser.post("/addresses", json=address).status_code == 200
        assert browser.post("/cards", json={"longNum": "4539 1488 0343 6467", "expires": "08/30"}).status_code == 200
        order = browser.post("/orders")

        assert order.status_code == 201
        assert order.json()["card"]["longNum"] == "************6467"
        assert browser.get("/address").json()["_embedded"]["address"][0]["city"] == "Leith"


def test_nobody_reads_the_orders_of_others(shop, shopper):
    """Somebody else's order is as unknown as one that never was."""
    shopper.post("/cart", json={"id": COLOURFUL})
    order = shopper.post("/orders").json()["id"]
    with shop.client() as other:
        other.get("/login", auth=("Dana_Levi", "dana"))

        assert other.get(f"/orders/{order}").status_code == 404


@pytest.mark.parametrize("cookie", ["", "x", "x.y", "eyJjYXJ0IjogIngifQ==.0000", "é.ü"])
def test_a_forged_cookie_is_no_session(shop, cookie):
    """Only what the front-end signed counts."""
    headers = {"cookie": f"md.sid={cookie}".encode()}

    assert shop.watcher.get(f"{shop.address('front-end')}/orders", headers=headers).status_code == 401


def test_the_smoke_test_of_the_app_file_passes(shop):
    """The steps that gate each recording work on the shop as it is."""
    from tasks.app.smoke import smoke

    result = smoke(shop.address("front-end"), shop.app.smoke)

    assert result.passed, result.sentence
    assert len(result.steps) == len(shop.app.smoke) == 13
