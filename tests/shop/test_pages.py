"""The pages: well-formed, labelled, and enough to buy a sock without scripts."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

pytestmark = pytest.mark.shop

COLOURFUL = "3395a43e-2d88-40de-b95f-e00e1502085b"
HOLY = "03fef6ac-1896-4ce8-bd69-b798f85c6e0b"
EMPTY_FORM = {"content-type": "application/x-www-form-urlencoded"}
VOID = {"meta", "link", "img", "br", "input"}
PAGES = ["/", "/category.html", "/category.html?tags=blue&order=price", f"/detail.html?id={HOLY}", "/basket.html", "/login.html"]


class Page(HTMLParser):
    """Links, images, forms and headings of a page; an unclosed or misplaced tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.unlabelled: list[dict[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Note the element, and whether an input says what it is for."""
        given = dict(attrs)
        self.found.append((tag, given))
        if tag == "input" and given.get("type") != "hidden" and "label" not in self.open and not given.get("aria-label"):
            self.unlabelled.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """The element that was opened last is closed first."""
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements called *tag*."""
        return [given for name, given in self.found if name == tag]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_well_formed_and_accessible(shop, path):
    """One heading, a language, a title, a way past the menu, labels and alternative texts; nothing from elsewhere, no scripts."""
    with shop.client() as browser:
        answer = browser.get(path)
    page = Page(answer.text)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(tag)) for tag in ("h1", "main", "title", "script", "style")] == [1, 1, 1, 0, 0]
    assert all("alt" in image and image["width"] for image in page.all("img"))
    assert page.unlabelled == []
    assert {"class": "skip", "href": "#main"} in page.all("a")
    assert not re.search(r"https?://", answer.text)


def test_every_link_leads_somewhere(shop, shopper):
    """Crawled from the home page as a customer, each link and picture answers 200."""
    shopper.post("/cart", json={"id": COLOURFUL})
    shopper.post("/orders")
    shopper.post("/cart", json={"id": COLOURFUL})
    todo, seen = ["/"], set()
    while todo:
        path = todo.pop()
        seen.add(path)
        answer = shopper.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            page = Page(answer.text)
            targets = [one["href"] for one in (*page.all("a"), *page.all("link"))] + [one["src"] for one in page.all("img")]
            fresh = {urljoin(path, target).partition("#")[0] for target in targets} - seen - {"/logout"}
            todo += [one for one in fresh if one not in todo]

    assert {"/basket.html", "/customer-orders.html", "/css/shop.css", f"/detail.html?id={HOLY}"} <= seen
    assert any(path.startswith("/customer-order.html?order=") for path in seen)


def test_a_sock_is_bought_by_filling_in_forms(shop):
    """From the detail page over the login to the thanks, only by what the pages offer."""
    with shop.client() as browser:
        browser.follow_redirects = True
        detail = browser.get(f"/detail.html?id={COLOURFUL}")
        form = Page(detail.text).all("form")[0]
        basket = browser.post(form["action"], data={"id": COLOURFUL, "quantity": "2"})
        assert basket.url.path == "/basket.html"
        assert "Log in to order" in basket.text
        again = browser.post("/login", data={"username": "user", "password": "wrong"})
        assert again.status_code == 401
        assert "wrong user name or password" in again.text
        basket = browser.post("/login", data={"username": "user", "password": "password"})
        assert basket.url.path == "/basket.html"
        basket = browser.post("/cart/update", data={"id": COLOURFUL, "quantity": "1"})
        assert "$22.99" in basket.text
        thanks = browser.post("/orders", headers=EMPTY_FORM)

    assert thanks.url.path == "/customer-order.html"
    assert "Thank you, Ursula" in thanks.text
    assert "$22.99" in thanks.text
    Page(thanks.text)


def test_a_decline_is_shown(shop, shopper):
    """The page says why, with the status of the API, and leads back to the basket."""
    shopper.post("/cart", data={"id": HOLY, "quantity": "1"})

    answer = shopper.post("/orders", headers=EMPTY_FORM)

    assert answer.status_code == 406
    assert "amount exceeds 100.00" in answer.text
    assert [one for one in Page(answer.text).all("a") if one["href"] == "/basket.html"]


def test_a_strangers_order_page_asks_to_log_in(shop):
    """401 with the login form; an unknown page is 404 with a way back."""
    with shop.client() as browser:
        orders = browser.get("/customer-orders.html")
        nowhere = browser.get("/nowhere.html")

    assert orders.status_code == 401
    assert Page(orders.text).all("form")[0]["action"] == "/login"
    assert nowhere.status_code == 404
    assert "There is no such page" in nowhere.text


def test_hostile_text_is_shown_escaped(shop):
    """A customer's name and a tag from the address are text, never markup."""
    evil = "<script>alert(1)</script>"
    name = {"username": evil, "password": "x", "firstName": evil, "lastName": "x"}
    with shop.client() as browser:
        browser.post("/register", json=name)
        pages = [browser.get("/").text, browser.get("/category.html", params={"tags": evil}).text]

    assert all(evil not in page and "&lt;script&gt;" in page for page in pages)
