"""Who calls whom, measured, against what the app's file declares."""

import pytest

pytestmark = pytest.mark.shop

COLOURFUL = "3395a43e-2d88-40de-b95f-e00e1502085b"
REQUESTS = {
    "GET /catalogue": ("GET", "/catalogue", {}),
    "GET /catalogue/size": ("GET", "/catalogue/size", {}),
    "GET /catalogue/{id}": ("GET", f"/catalogue/{COLOURFUL}", {}),
    "GET /catalogue/images/{name}": ("GET", "/catalogue/images/holy.svg", {}),
    "GET /tags": ("GET", "/tags", {}),
    "GET /": ("GET", "/", {}),
    "GET /index.html": ("GET", "/index.html", {}),
    "GET /category.html": ("GET", "/category.html", {}),
    "GET /detail.html": ("GET", f"/detail.html?id={COLOURFUL}", {}),
    "GET /login.html": ("GET", "/login.html", {}),
    "GET /login": ("GET", "/login", {"auth": ("user", "password")}),
    "POST /login": ("POST", "/login", {"data": {"username": "user", "password": "password"}}),
    "POST /register": (
        "POST",
        "/register",
        {"json": {"username": "graph", "password": "x", "firstName": "G", "lastName": "R"}},
    ),
    "GET /cart": ("GET", "/cart", {}),
    "DELETE /cart": ("DELETE", "/cart", {}),
    "POST /cart/clear": ("POST", "/cart/clear", {}),
    "POST /cart": ("POST", "/cart", {"json": {"id": COLOURFUL}}),
    "POST /cart/update": ("POST", "/cart/update", {"json": {"id": COLOURFUL, "quantity": 1}}),
    "DELETE /cart/{id}": ("DELETE", f"/cart/{COLOURFUL}", {}),
    "GET /basket.html": ("GET", "/basket.html", {}),
    "POST /orders": ("POST", "/orders", {}),
    "GET /orders": ("GET", "/orders", {}),
    "GET /customer-orders.html": ("GET", "/customer-orders.html", {}),
    "GET /customer-order.html": ("GET", "/customer-order.html?order={order}", {}),
    "GET /address": ("GET", "/address", {}),
    "GET /card": ("GET", "/card", {}),
    "GET /logout": ("GET", "/logout", {}),
}


def test_every_declared_endpoint_is_tried(shop):
    """No line of the app's file is left unmeasured."""
    assert set(REQUESTS) == set(shop.app.endpoints)


@pytest.mark.parametrize("endpoint", REQUESTS)
def test_an_endpoint_reaches_what_the_app_file_says(shop, shopper, endpoint):
    """The services whose request counters move are exactly those that are declared."""
    shopper.post("/cart", json={"id": COLOURFUL})
    order = shopper.post("/orders").json()["id"]
    shopper.post("/cart", json={"id": COLOURFUL})
    method, path, more = REQUESTS[endpoint]
    shop.delivered()
    before = {name: shop.requests(name) for name in shop.app.names}

    answer = shopper.request(method, path.format(order=order), **more)
    shop.delivered()

    assert answer.status_code < 400
    moved = {name for name in shop.app.names if shop.requests(name) > before[name]}
    assert moved == {"front-end", *shop.app.endpoints[endpoint]} == shop.app.reached([endpoint])


def test_orders_itself_calls_its_declared_peers(shop):
    """An order sent to orders directly, past the front-end, reaches user, carts, payment, shipping, and queue-master by shipping."""
    with shop.client("user") as user, shop.client("carts") as carts:
        links = user.get("/login", auth=("user", "password")).json()["user"]["_links"]
        carts.post("/carts/direct/items", json={"itemId": COLOURFUL, "unitPrice": 18})
    shop.delivered()
    before = {name: shop.requests(name) for name in shop.app.names}
    body = {name: links[name]["href"] for name in ("customer", "address", "card")} | {"items": "/carts/direct/items"}

    with shop.client("orders") as orders:
        assert orders.post("/orders", json=body).status_code == 201
    shop.delivered()

    moved = {name for name in shop.app.names if shop.requests(name) > before[name]}
    called = {callee for caller, callee in shop.app.edges if caller == "orders"}
    assert moved == {"orders", *called, "queue-master"}
