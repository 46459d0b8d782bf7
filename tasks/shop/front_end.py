"""The service ``front-end``: the shop's public API and pages, over the other services."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tasks.shop.application import Program
from tasks.shop.messages import answer, form_body, json_body, text_of
from tasks.shop.metrics import Metrics
from tasks.shop.pages import Pages
from tasks.shop.peers import Peers
from tasks.shop.sessions import Session, Sessions, new_cart, open_sessions
from tasks.shop.settings import Settings
from tasks.shop.storefront import Storefront

FORM = "application/x-www-form-urlencoded"


def build(settings: Settings, _metrics: Metrics) -> Program:
    """The service; sessions are signed cookies, so it keeps no database."""
    peers = Peers(settings.peers)
    sessions, store = open_sessions(settings.data_dir), Storefront(peers)
    api, pages = FrontEnd(sessions, store), Pages(sessions, store)
    return Program(routes=(*api.routes(), *pages.routes()), close=(peers.close,), error_page=pages.error)


class FrontEnd:
    """The API; requests that come from the pages' forms are answered with a redirect to a page."""

    def __init__(self, sessions: Sessions, store: Storefront) -> None:
        self._sessions = sessions
        self._store = store

    def routes(self) -> tuple[Route, ...]:
        """The API's routes."""
        return (
            Route("/catalogue", self._relayed("catalogue", "/catalogue")),
            Route("/catalogue/size", self._relayed("catalogue", "/catalogue/size")),
            Route("/catalogue/images/{name}", self.picture),
            Route("/catalogue/{id}", self.sock),
            Route("/tags", self._relayed("catalogue", "/tags")),
            Route("/login", self.login),
            Route("/login", self.login_form, methods=["POST"]),
            Route("/logout", self.logout),
            Route("/register", self.register, methods=["POST"]),
            Route("/address", self.address),
            Route("/addresses", self.add_to_customer, methods=["POST"]),
            Route("/card", self.card),
            Route("/cards", self.add_to_customer, methods=["POST"]),
            Route("/cart", self.cart),
            Route("/cart", self.add, methods=["POST"]),
            Route("/cart", self.clear, methods=["DELETE"]),
            Route("/cart/update", self.update, methods=["POST"]),
            Route("/cart/clear", self.clear, methods=["POST"]),
            Route("/cart/{id}", self.remove, methods=["DELETE"]),
            Route("/orders", self.orders),
            Route("/orders", self.order, methods=["POST"]),
            Route("/orders/{id}", self.one_order),
        )

    async def sock(self, request: Request) -> Response:
        """``GET /catalogue/{id}``."""
        return answer(await self._store.sock(request.path_params["id"]))

    async def picture(self, request: Request) -> Response:
        """``GET /catalogue/images/{name}``."""
        name = request.path_params["name"]
        if not name.replace(".", "").replace("-", "").isalnum():
            raise HTTPException(404, "there is no such picture")
        reply = await self._store.relay("catalogue", f"/catalogue/images/{name}")
        return Response(reply.body, reply.status, {"cache-control": "max-age=3600"}, media_type=reply.content_type)

    async def login(self, request: Request) -> Response:
        """``GET /login`` with basic authentication: 200 and a cookie, or 401."""
        session = await self._store.login(self._sessions.read(request), request.headers.get("authorization", ""))
        return self._with(answer({"id": session.customer, "username": session.name}), session)

    async def login_form(self, request: Request) -> Response:
        """``POST /login`` from the login page: back to the basket."""
        form = await form_body(request)
        pair = base64.b64encode(f"{form.get('username', '')}:{form.get('password', '')}".encode()).decode()
        session = await self._store.login(self._sessions.read(request), f"Basic {pair}")
        return self._with(RedirectResponse("/basket.html", 303), session)

    async def logout(self, _: Request) -> Response:
        """``GET /logout``: the cookie is removed."""
        response = RedirectResponse("/", 303)
        self._sessions.forget(response)
        return response

    async def register(self, request: Request) -> Response:
        """``POST /register {username, password, firstName, lastName}``: 200, logged in."""
        body = await json_body(request)
        await self._store.post("user", "/register", body)
        pair = base64.b64encode(f"{text_of(body, 'username')}:{text_of(body, 'password')}".encode()).decode()
        session = await self._store.login(self._sessions.read(request), f"Basic {pair}")
        return self._with(answer({"id": session.customer}), session)

    async def address(self, request: Request) -> Response:
        """``GET /address``: the customer's addresses."""
        return await self._of_customer(request, "addresses")

    async def card(self, request: Request) -> Response:
        """``GET /card``: the customer's cards."""
        return await self._of_customer(request, "cards")

    async def add_to_customer(self, request: Request) -> Response:
        """``POST /addresses`` or ``POST /cards``: added to the customer who is logged in."""
        body = {**await json_body(request), "userID": self._customer(request)}
        return answer(await self._store.post("user", request.url.path, body))

    async def cart(self, request: Request) -> Response:
        """``GET /cart``."""
        return answer(await self._store.items(self._sessions.read(request)))

    async def add(self, request: Request) -> Response:
        """``POST /cart {id, quantity}``: 201, the price being the catalogue's."""
        body = await _fields(request)
        session = self._sessions.read(request) or Session(new_cart())
        await self._store.put(session, text_of(body, "id"), body.get("quantity", 1))
        return self._with(_done(request, 201), session)

    async def update(self, request: Request) -> Response:
        """``POST /cart/update {id, quantity}``: 202; a quantity of 0 removes."""
        body, session = await _fields(request), self._sessions.read(request)
        if session is not None and body.get("quantity") == 0:
            await self._store.remove(session, text_of(body, "id"))
        elif session is not None:
            await self._store.put(session, text_of(body, "id"), body.get("quantity"), add=False)
        return _done(request, 202)

    async def clear(self, request: Request) -> Response:
        """``DELETE /cart``: 202, also when it was empty."""
        await self._store.remove(self._sessions.read(request))
        return _done(request, 202)

    async def remove(self, request: Request) -> Response:
        """``DELETE /cart/{id}``: 202."""
        await self._store.remove(self._sessions.read(request), request.path_params["id"])
        return _done(request, 202)

    async def orders(self, request: Request) -> Response:
        """``GET /orders``: the customer's last twenty."""
        return answer(await self._store.orders(self._sessions.read(request)))

    async def order(self, request: Request) -> Response:
        """``POST /orders``: 201 with the order; 401 without a login, 406 when payment declines."""
        order = await self._store.order(self._sessions.read(request))
        if _from_form(request):
            return RedirectResponse(f"/customer-order.html?order={order['id']}", 303)
        return answer(order, 201)

    async def one_order(self, request: Request) -> Response:
        """``GET /orders/{id}``."""
        return answer(await self._store.one_order(self._sessions.read(request), request.path_params["id"]))

    def _relayed(self, peer: str, path: str) -> Callable[[Request], Awaitable[Response]]:
        async def relay(request: Request) -> Response:
            query = request.url.query
            reply = await self._store.relay(peer, path + (f"?{query}" if query else ""))
            return Response(reply.body, reply.status, media_type=reply.content_type)

        return relay

    async def _of_customer(self, request: Request, kind: str) -> Response:
        reply = await self._store.relay("user", f"/customers/{self._customer(request)}/{kind}")
        return Response(reply.body, reply.status, media_type=reply.content_type)

    def _customer(self, request: Request) -> str:
        session = self._sessions.read(request)
        if session is None or session.customer is None:
            raise HTTPException(401, "log in first")
        return session.customer

    def _with(self, response: Response, session: Session) -> Response:
        self._sessions.write(response, session)
        return response


def _from_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(FORM)


async def _fields(request: Request) -> dict[str, Any]:
    if not _from_form(request):
        return await json_body(request)
    form: dict[str, Any] = dict(await form_body(request))
    quantity = form.get("quantity", "1")
    return {**form, "quantity": int(quantity) if quantity.isascii() and quantity.isdigit() and len(quantity) < 5 else -1}


def _done(request: Request, status: int) -> Response:
    return RedirectResponse("/basket.html", 303) if _from_form(request) else Response(status_code=status)
