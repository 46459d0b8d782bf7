"""Scrapes over real sockets: what a page gives, and how each way of failing is told."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from tasks.base.clock import SystemClock
from tasks.telemetry.scrape import Schedule, Scrape, TargetScraper, Tick
from tasks.telemetry.series import SeriesTable
from tasks.telemetry.targets import Target, address_of
from tests.telemetry.exporters import Send, ok, serving

TICK = Tick(0, 0.0, 1_700_000_000_000)
PAGE = 'a_total{x="1"} 5\nb 2.5\n'


def scraper(url: str, table: SeriesTable | None = None, *, role: str = "service", limit: int = 10_000) -> TargetScraper:
    target = Target("orders", role, url)  # type: ignore[arg-type]
    return TargetScraper.at(target, address_of(url), SeriesTable() if table is None else table, body_limit_bytes=limit, clock=SystemClock())


def scrape(one: TargetScraper, *, times: int = 1, timeout_s: float = 1.0) -> list[Scrape | None]:
    async def run() -> list[Scrape | None]:
        try:
            return [await one.scrape(TICK, timeout_s, stall_s=0.5) for _ in range(times)]
        finally:
            one.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


def named(found: Scrape | None, table: SeriesTable) -> dict[tuple[str, str], float]:
    assert found is not None
    series = table.since(0)
    return {(series[n].service, series[n].name): v for n, v in zip(found.exposed.numbers, found.exposed.values, strict=True)}


def test_a_page_gives_its_samples_and_three_of_our_own() -> None:
    """``up``, the duration and the number of samples stand beside what was exposed, stamped by the tick."""
    table = SeriesTable()
    with serving(ok(PAGE)) as exporter:
        (found,) = scrape(scraper(exporter.url, table))

    assert found is not None
    values = named(found, table)
    assert 0 < values.pop(("orders", "scrape_duration_seconds")) < 1
    assert values == {
        ("orders", "a_total"): 5.0,
        ("orders", "b"): 2.5,
        ("orders", "up"): 1.0,
        ("orders", "scrape_samples_scraped"): 2.0,
    }
    assert (found.time_ms, found.error) == (TICK.wall_ms, None)


def test_the_connection_is_kept() -> None:
    """Three scrapes, one connection; the request asks for the text format and for the path given."""
    with serving(ok(PAGE)) as exporter:
        scrape(scraper(exporter.url + "?a=b"), times=3)

    assert (exporter.connections, len(exporter.heads)) == (1, 3)
    assert exporter.heads[0].startswith("GET /metrics?a=b HTTP/1.1\n")
    assert f"Host: 127.0.0.1:{exporter.port}\n" in exporter.heads[0]


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    """A server that hangs up between two scrapes costs no sample."""

    def answer(_: int, send: Send) -> bool:
        send(ok(PAGE))
        return False

    with serving(answer) as exporter:
        found = scrape(scraper(exporter.url), times=3)

    assert [one.error for one in found if one] == [None, None, None]
    assert exporter.connections == 3


@pytest.mark.parametrize(
    "reply",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\na_total{x\r\ne;e=1\r\n="1"} 5\nb 2.5\n\r\n0\r\nT: x\r\n\r\n',
        b"HTTP/1.0 200 OK\r\n\r\n" + PAGE.encode(),
        ok(PAGE, extra="Connection: close\r\n"),
    ],
    ids=["chunked", "until-close", "close"],
)
def test_bodies_of_any_framing(reply: bytes) -> None:
    """Chunked, ended by closing, or told to close: the same samples."""
    table = SeriesTable()

    def answer(_: int, send: Send) -> bool:
        send(reply)
        return False

    with serving(answer) as exporter:
        (found,) = scrape(scraper(exporter.url, table))

    assert found is not None
    assert found.error is None
    assert named(found, table)["orders", "b"] == 2.5


def failing(reply: bytes) -> Callable[[int, Send], bool]:
    def answer(_: int, send: Send) -> bool:
        send(reply)
        return False

    return answer


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (ok(PAGE)[:-5], "cut off"),
        (ok("b 1\n" * 5000), "at most 10000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n", "more than 10000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "more than 10000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"b 1\n" * 5000, "more than 10000"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000, "no reply"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "at most"),
        (ok(PAGE, extra="Content-Encoding: gzip\r\n"), "compressed"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
        (b"", "cut off"),
        (ok(b"b \xff\n"), "not UTF-8"),
        (ok("b 1\n<html>\n"), "malformed line"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_failed_scrape_is_up_0(reply: bytes, error: str) -> None:
    """Whatever is wrong with the reply: ``up`` 0, no sample of it, and the reason."""
    table = SeriesTable()
    with serving(failing(reply)) as exporter:
        (found,) = scrape(scraper(exporter.url, table))

    assert found is not None
    assert error in (found.error or "")
    values = named(found, table)
    assert values.pop(("orders", "scrape_duration_seconds")) >= 0
    assert values == {("orders", "up"): 0.0, ("orders", "scrape_samples_scraped"): 0.0}


def test_nobody_listens() -> None:
    """A closed port is a failed scrape like others."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        (found,) = scrape(scraper(f"http://127.0.0.1:{taken.getsockname()[1]}/"))

    assert found is not None
    assert "cannot connect" in (found.error or "")


@pytest.mark.parametrize("drip", [False, True])
def test_the_timeout_is_for_the_whole_scrape(drip: bool) -> None:
    """Neither silence nor a byte now and then keeps a scrape past its timeout, and the next one works again."""

    def answer(number: int, send: Send) -> bool:
        if number:
            send(ok(PAGE))
            return True
        for letter in ok(PAGE) if drip else b"":
            send(bytes([letter]))
            time.sleep(0.02)
        time.sleep(0 if drip else 0.4)
        return True

    with serving(answer) as exporter:
        late, good = scrape(scraper(exporter.url), times=2, timeout_s=0.2)

    assert late is not None
    assert good is not None
    assert (late.error, good.error) == ("no complete reply within 0.2 s", None)
    assert 0.2 <= late.duration_s < 0.4


def test_a_redirect_is_not_followed() -> None:
    """The place a target points to is never asked."""
    with serving(ok(PAGE)) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(moved) as exporter:
            scrape(scraper(exporter.url), times=2)

        assert len(exporter.heads) == 2
        assert other.heads == []


def test_rows_of_containers_belong_to_their_service() -> None:
    """In role ``container`` the label names the service; labels that only say where are left out; times are honoured."""
    table = SeriesTable()
    page = 'cpu_total{container="carts",instance="127.0.0.1:80",port="80",mode="user"} 3 1699999999000\ncores 2\n'
    with serving(ok(page)) as exporter:
        (found,) = scrape(scraper(exporter.url, table, role="container"))

    assert found is not None
    assert [(one.service, one.name, dict(one.labels)) for one in table.since(3)] == [
        ("carts", "cpu_total", {"mode": "user"}),
        ("orders", "cores", {}),
    ]
    assert found.exposed.stamps_ms == {0: 1_699_999_999_000}


def test_a_scrape_across_a_standstill_of_our_own_is_no_data() -> None:
    """When this process stood still for longer than the scrape may take, nothing is said about the target."""

    def answer(_: int, send: Send) -> bool:
        send(ok(PAGE))
        return True

    async def run(one: TargetScraper) -> Scrape | None:
        asyncio.get_running_loop().call_later(0.0, time.sleep, 0.5)
        return await one.scrape(TICK, 0.1, stall_s=0.1)

    with serving(answer) as exporter:
        assert asyncio.run(run(scraper(exporter.url))) is None


@pytest.mark.parametrize(
    ("number", "now_s", "expected"),
    [(3, 100.0, 3), (3, 103.0, 3), (3, 103.9, 3), (3, 104.2, 4), (3, 105.1, 4), (3, 123.0, 13), (3, 123.5, 13)],
)
def test_missed_ticks_are_not_made_up_for(number: int, now_s: float, expected: int) -> None:
    """Up to half an interval late is on time; later than that waits for, or takes, the nearest tick of the same schedule."""
    assert Schedule(97.0, 2.0).upcoming(number, now_s) == expected
