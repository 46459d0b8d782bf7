"""What a shopper can do, as calls to the other services; no HTTP and no HTML of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException

from tasks.shop.peers import PeerError, Peers, Reply
from tasks.shop.sessions import Session, new_cart

log = logging.getLogger("shop.front-end")


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One kind of sock in a basket; prices in the shop's currency."""

    id: str
    name: str
    picture: str
    quantity: int
    unit_price: float

    @property
    def total(self) -> float:
        """Quantity times price."""
        return round(self.unit_price * self.quantity, 2)


class Storefront:
    """The front-end's work."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def relay(self, peer: str, path: str) -> Reply:
        """The answer of *peer* as it is."""
        return await self._peers.ask(peer, "GET", path)

    async def socks(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The catalogue's socks for the query ``tags``, ``order``, ``page``, ``size``."""
        text = "&".join(f"{name}={quote(value, safe=',')}" for name, value in query.items() if value)
        found: list[dict[str, Any]] = _wanted(await self._peers.ask("catalogue", "GET", "/catalogue" + (f"?{text}" if text else "")))
        return found

    async def sock(self, sock: str) -> dict[str, Any]:
        """One sock; 404 when there is none."""
        found: dict[str, Any] = _wanted(await self._peers.ask("catalogue", "GET", f"/catalogue/{_part(sock)}"))
        return found

    async def tags(self) -> list[str]:
        """All tags."""
        found: list[str] = _wanted(await self._peers.ask("catalogue", "GET", "/tags"))["tags"]
        return found

    async def items(self, session: Session | None) -> list[dict[str, Any]]:
        """What lies in the basket; nothing without a session."""
        if session is None:
            return []
        found: list[dict[str, Any]] = _wanted(await self._peers.ask("carts", "GET", f"/carts/{session.cart}/items"))
        return found

    async def basket(self, session: Session | None) -> list[BasketLine]:
        """The basket with the socks' names and pictures."""
        items = await self.items(session)
        return await self.named(items)

    async def named(self, items: list[dict[str, Any]]) -> list[BasketLine]:
        """*items* with the socks' names and pictures."""
        known = {sock["id"]: sock for sock in await self.socks({})} if items else {}
        unknown = {"name": "A sock we no longer sell", "imageUrl": [""]}
        shown = [(item, known.get(item["itemId"], unknown)) for item in items]
        return [BasketLine(item["itemId"], sock["name"], sock["imageUrl"][0], item["quantity"], item["unitPrice"]) for item, sock in shown]

    async def put(self, session: Session, sock: str, quantity: Any, *, add: bool = True) -> None:
        """Add a sock to the basket at the catalogue's price, or set its quantity; 404 for an unknown sock."""
        found = await self.sock(sock)
        body = {"itemId": found["id"], "quantity": quantity, "unitPrice": found["price"]}
        _wanted(await self._peers.ask("carts", "POST" if add else "PATCH", f"/carts/{session.cart}/items", body=body))

    async def remove(self, session: Session | None, sock: str | None = None) -> None:
        """Take one sock, or all, out of the basket."""
        if session is not None:
            path = f"/carts/{session.cart}" + (f"/items/{_part(sock)}" if sock else "")
            _wanted(await self._peers.ask("carts", "DELETE", path))

    async def login(self, session: Session | None, authorization: str) -> Session:
        """A new session for the customer, with the old one's basket; 401 when the password is wrong."""
        user = _wanted(await self._peers.ask("user", "GET", "/login", headers={"authorization": authorization}))["user"]
        fresh = Session(new_cart(), user["id"], user["username"])
        if session is not None:
            _wanted(await self._peers.ask("carts", "GET", f"/carts/{fresh.cart}/merge?sessionId={session.cart}"))
        return fresh

    async def post(self, peer: str, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer of *peer* to *body*; its refusal is ours."""
        return _wanted(await self._peers.ask(peer, "POST", path, body=body))

    async def order(self, session: Session | None) -> dict[str, Any]:
        """Order what lies in the basket, and empty it; 401 without a login, 406 when it is declined."""
        if session is None or session.customer is None:
            raise HTTPException(401, "log in before you order")
        links = _wanted(await self._peers.ask("user", "GET", f"/customers/{session.customer}"))["_links"]
        body = {name: links[name]["href"] for name in ("customer", "address", "card") if name in links}
        order: dict[str, Any] = await self.post("orders", "/orders", {**body, "items": f"/carts/{session.cart}/items"})
        try:
            await self.remove(session)
        except PeerError as error:
            log.warning("order %s is placed, but its basket could not be emptied: %s", order["id"], error)
        return order

    async def orders(self, session: Session | None) -> list[dict[str, Any]]:
        """The customer's last twenty orders; 401 without a login."""
        if session is None or session.customer is None:
            raise HTTPException(401, "log in to see your orders")
        found = _wanted(await self._peers.ask("orders", "GET", f"/orders/search/customerId?custId={session.customer}"))
        listed: list[dict[str, Any]] = found["_embedded"]["customerOrders"]
        return listed

    async def one_order(self, session: Session | None, order: str) -> dict[str, Any]:
        """One order of the customer's own; 404 for anybody else's."""
        if session is None or session.customer is None:
            raise HTTPException(401, "log in to see your orders")
        found: dict[str, Any] = _wanted(await self._peers.ask("orders", "GET", f"/orders/{_part(order)}"))
        if found["customerId"] != session.customer:
            raise HTTPException(404, "no order has this id")
        return found


def _wanted(reply: Reply) -> Any:
    if reply.ok:
        return reply.json()
    try:
        problem = str(reply.json()["error"])
    except (ValueError, TypeError, KeyError):
        problem = f"a service answered {reply.status}"
    raise HTTPException(reply.status, problem)


def _part(text: str) -> str:
    if not text or text in (".", "..") or len(text) > 200:
        raise HTTPException(404, "there is no such thing")
    return quote(text, safe="")
