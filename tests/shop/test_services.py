"""The contracts of the services behind the front-end."""

import pytest

pytestmark = pytest.mark.shop

COLOURFUL = "3395a43e-2d88-40de-b95f-e00e1502085b"


def test_the_catalogue_lists_ten_socks_with_prices_and_pictures(shop):
    """Nine cost 7.99 to 18, one 99.99; each has a drawing."""
    with shop.client("catalogue") as catalogue:
        socks = catalogue.get("/catalogue").json()
        prices = sorted(sock["price"] for sock in socks)
        pictures = [catalogue.get(sock["imageUrl"][0]) for sock in socks]

    assert (len(socks), prices[0], prices[-2], prices[-1]) == (10, 7.99, 18.0, 99.99)
    assert set(socks[0]) == {"id", "name", "description", "imageUrl", "price", "count", "tag"}
    assert all(picture.headers["content-type"] == "image/svg+xml" and picture.text.startswith("<svg") for picture in pictures)
    assert len({picture.text for picture in pictures}) == 10


def test_the_catalogue_filters_sorts_and_pages(shop):
    """Tags are joined by or; pages follow each other without overlap."""
    with shop.client("catalogue") as catalogue:
        blue = catalogue.get("/catalogue?tags=blue").json()
        two = catalogue.get("/catalogue/size?tags=blue,magic").json()["size"]
        dear = [sock["price"] for sock in catalogue.get("/catalogue?order=price").json()]
        pages = [sock["id"] for page in (1, 2, 3, 4) for sock in catalogue.get(f"/catalogue?size=3&page={page}").json()]

    assert blue
    assert all("blue" in sock["tag"] for sock in blue)
    assert two == len(blue) + 1
    assert dear == sorted(dear)
    assert len(pages) == len(set(pages)) == 10


@pytest.mark.parametrize("query", ["order=password", "size=x", "page=-1", "tags=' OR 1=1 --"])
def test_the_catalogue_takes_no_nonsense(shop, query):
    """Wrong settings are 400; text that looks like SQL is only an unknown tag."""
    with shop.client("catalogue") as catalogue:
        answer = catalogue.get(f"/catalogue?{query}")

    assert answer.status_code == 400 or answer.json() == []


def test_baskets(shop):
    """Adding adds up, changing sets, merging moves, deleting empties."""
    line = {"itemId": "a", "quantity": 2, "unitPrice": 5.5}
    with shop.client("carts") as carts:
        assert carts.post("/carts/one/items", json=line).status_code == 201
        carts.post("/carts/one/items", json=line)
        assert carts.get("/carts/one/items").json() == [{**line, "quantity": 4}]
        assert carts.patch("/carts/one/items", json={**line, "quantity": 7}).status_code == 202
        assert carts.get("/carts/two/merge?sessionId=one").status_code == 202
        assert carts.get("/carts/one").json()["items"] == []
        assert carts.get("/carts/two").json() == {"customerId": "two", "items": [{**line, "quantity": 7}]}
        assert carts.delete("/carts/two/items/a").status_code == 202
        assert carts.delete("/carts/two").status_code == 202
        assert carts.get("/carts/two/items").json() == []


def test_baskets_are_bounded(shop):
    """At most a hundred different items, and a thousand of one."""
    with shop.client("carts") as carts:
        statuses = [carts.post("/carts/full/items", json={"itemId": f"{n}", "unitPrice": 1}).status_code for n in range(101)]
        for _ in range(2):
            carts.post("/carts/many/items", json={"itemId": "a", "quantity": 900, "unitPrice": 1})
        quantity = carts.get("/carts/many/items").json()[0]["quantity"]
        carts.delete("/carts/full")
        carts.delete("/carts/many")

    assert statuses == [201] * 100 + [400]
    assert quantity == 1000


@pytest.mark.parametrize(("amount", "authorised"), [(0.01, True), (100, True), (100.01, False), (104.98, False)])
def test_payment_says_yes_up_to_its_limit(shop, amount, authorised):
    """The answer is 200 either way."""
    answer = shop.watcher.post(f"{shop.address('payment')}/paymentAuth", json={"amount": amount})

    assert (answer.status_code, answer.json()["authorised"]) == (200, authorised)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"amount": 0}', b'{"amount": "1"}', b'{"amount": true}', b'{"amount": NaN}', b'{"amount": 1e400}']
)
def test_payment_takes_no_nonsense(shop, body):
    """What is not a positive amount is 400."""
    assert shop.watcher.post(f"{shop.address('payment')}/paymentAuth", content=body).status_code == 400


def test_logins(shop):
    """The published customers can log in; nothing of a password is ever told."""
    with shop.client("user") as user:
        good = [user.get("/login", auth=pair).status_code for pair in (("user", "password"), ("Eve_Berger", "eve"), ("Ines_Prado", "ines"))]
        bad = [user.get("/login", auth=pair).status_code for pair in (("user", ""), ("user", "Password"), ("nobody", "password"))]
        odd = [user.get("/login", headers={"authorization": text}).status_code for text in ("Basic", "Basic !!", "Bearer x", "Basic eA==")]
        customers = user.get("/customers").text

    assert (good, bad, odd) == ([200] * 3, [401] * 3, [401] * 4)
    assert "salt" not in customers
    assert "hash" not in customers


@pytest.mark.parametrize(
    "change",
    [
        {"customer": "http://127.0.0.1:1/customers/x"},
        {"items": "/carts/../../metrics"},
        {"items": "/carts/x/items?y"},
        {"card": ""},
        {"address": "/addresses/unknown"},
    ],
)
def test_orders_fetches_only_from_its_own_peers(shop, change):
    """A path that is none of the known forms, or that leads nowhere, is refused (406) like an incomplete order."""
    with shop.client("user") as user:
        links = user.get("/login", auth=("user", "password")).json()["user"]["_links"]
    body = {name: links[name]["href"] for name in ("customer", "address", "card")} | {"items": "/carts/x/items"}

    assert shop.watcher.post(f"{shop.address('orders')}/orders", json={**body, **change}).status_code == 406


def test_shipping_and_queue_master(shop):
    """A shipment is taken (201), delivered once, and gone from the queue."""
    shop.delivered()
    before = shop.value("queue-master", "deliveries_sent_total")
    with shop.client("shipping") as shipping:
        assert shipping.post("/shipping", json={"id": "parcel", "name": "user"}).status_code == 201
        shop.delivered()
        assert shipping.get("/shipping/parcel").status_code == 404
    with shop.client("queue-master") as master:
        assert master.get("/deliveries").json()[0]["id"] == "parcel"
        assert master.post("/deliveries", json={"id": "parcel", "name": "user"}).status_code == 200

    assert shop.value("queue-master", "deliveries_sent_total") == before + 1
