"""The front-end's pages: HTML that works without scripts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.shop.sessions import Sessions
from tasks.shop.storefront import Storefront

_FOLDER = Path(__file__).resolve().parent / "templates"
SHIPPING_PRICE = 4.99
SORTS = {"id": "as they came", "name": "by name", "price": "by price"}
POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
TITLES = {
    401: "Please log in",
    404: "There is no such page",
    406: "Your order was declined",
    500: "Something went wrong in the shop",
}


class Pages:
    """Handlers that answer with HTML."""

    def __init__(self, sessions: Sessions, store: Storefront) -> None:
        self._sessions = sessions
        self._store = store
        self._style = (_FOLDER / "shop.css").read_bytes()
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["money"] = lambda amount: f"${amount:,.2f}"
        self._templates = {path.name: environment.get_template(path.name) for path in _FOLDER.glob("*.html")}

    def routes(self) -> tuple[Route, ...]:
        """The pages' routes."""
        return (
            Route("/", self.home),
            Route("/index.html", self.home),
            Route("/category.html", self.category),
            Route("/detail.html", self.detail),
            Route("/basket.html", self.basket),
            Route("/login.html", self.login),
            Route("/customer-orders.html", self.orders),
            Route("/customer-order.html", self.order),
            Route("/css/shop.css", self.style),
        )

    async def home(self, request: Request) -> Response:
        """``GET /``: the first socks of the catalogue."""
        return self._page(request, "home.html", socks=await self._store.socks({"size": "6"}))

    async def category(self, request: Request) -> Response:
        """``GET /category.html?tags=&order=``: all socks, or those with one of the tags."""
        query = request.query_params
        chosen = tuple(tag for tag in query.get("tags", "").split(",") if tag)
        order = query.get("order", "id")
        if order not in SORTS:
            raise HTTPException(404, "the socks cannot be sorted like this")
        socks, tags = await asyncio.gather(self._store.socks({"tags": ",".join(chosen), "order": order}), self._store.tags())
        return self._page(request, "category.html", socks=socks, tags=tags, chosen=chosen, order=order, sorts=SORTS)

    async def detail(self, request: Request) -> Response:
        """``GET /detail.html?id=``: one sock; 404 for an unknown id."""
        return self._page(request, "detail.html", sock=await self._store.sock(request.query_params.get("id", "")))

    async def basket(self, request: Request) -> Response:
        """``GET /basket.html``: what lies in the basket, and what it costs."""
        lines = await self._store.basket(self._sessions.read(request))
        goods = round(sum(line.total for line in lines), 2)
        return self._page(request, "basket.html", lines=lines, goods=goods, shipping=SHIPPING_PRICE)

    async def login(self, request: Request) -> Response:
        """``GET /login.html``."""
        return self._page(request, "login.html", problem=None)

    async def orders(self, request: Request) -> Response:
        """``GET /customer-orders.html``: 401 without a login."""
        return self._page(request, "orders.html", orders=await self._store.orders(self._sessions.read(request)))

    async def order(self, request: Request) -> Response:
        """``GET /customer-order.html?order=``: 401 without a login, 404 for an order of somebody else's."""
        order = await self._store.one_order(self._sessions.read(request), request.query_params.get("order", ""))
        return self._page(request, "order.html", order=order, lines=await self._store.named(order["items"]), shipping=SHIPPING_PRICE)

    async def style(self, _: Request) -> Response:
        """``GET /css/shop.css``."""
        return Response(self._style, media_type="text/css", headers={"cache-control": "max-age=3600"})

    def error(self, request: Request, status: int, problem: str) -> Response:
        """An error as a page for a browser, as JSON for everybody else."""
        path, asked = request.url.path, request.headers
        form = asked.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if not (form or path == "/" or path.endswith(".html") or "text/html" in asked.get("accept", "")):
            from tasks.shop.messages import answer

            return answer({"status_code": status, "error": problem}, status)
        if status == 401:
            shown = problem if path == "/login" else "Log in to go on."
            return self._page(request, "login.html", status=status, problem=shown)
        title = TITLES.get(status, TITLES[500] if status >= 500 else "The shop cannot do that")
        return self._page(request, "message.html", status=status, title=title, problem=problem)

    def _page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        session = self._sessions.read(request)
        shared = {"customer": session.name if session else None, "here": request.url.path, "status": status}
        text = self._templates[template].render(**shared, **values)
        return Response(text, status, {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}, media_type="text/html")
