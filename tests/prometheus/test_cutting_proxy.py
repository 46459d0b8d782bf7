"""The proxy passes on what a real server says, unless it was told otherwise."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
import urllib.parse

import pytest

from tests.prometheus.cutting_proxy import (
    PASS,
    Cut,
    CuttingProxy,
    Delay,
    Stall,
    Trickle,
    always,
    api_error,
    api_success,
    at_random,
    busy,
    by_connection,
    by_path,
    by_request,
    flipped,
    redirect,
    truncated,
    warned,
)
from tests.prometheus.history import START_MS, jittered, write_blocks
from tests.prometheus.servers import Prometheus

QUERY = "/api/v1/query?" + urllib.parse.urlencode({"query": "jittered[4h]", "time": (START_MS + 14_400_000) / 1000})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server with a known history."""
    folder = tmp_path_factory.mktemp("server")
    write_blocks(jittered(), folder / "data")
    with Prometheus(folder) as started:
        yield started


@pytest.fixture
def proxy(server):
    """Before that server."""
    with CuttingProxy(server.port) as started:
        yield started


@pytest.fixture
def client(proxy):
    """One kept connection to the proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    yield connection
    connection.close()


def asked(client, path=QUERY, method="GET", body=None, **headers):
    """The reply and its whole body."""
    client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    reply = client.getresponse()
    return reply, reply.read()


def received(proxy, path=QUERY):
    """All bytes that come over a connection of its own, and how it ends: ``FIN``, ``RST``, or ``open`` after half a second."""
    raw = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while True:
            try:
                piece = one.recv(1 << 16)
            except ConnectionResetError:
                return raw, "RST"
            except TimeoutError:
                return raw, "open"
            if not piece:
                return raw, "FIN"
            raw += piece


def body_of(server):
    """What the server itself says."""
    return server.get("/api/v1/query", **dict(urllib.parse.parse_qsl(QUERY.partition("?")[2])))


def test_it_passes_on_what_the_server_says(proxy, client, server):
    """Compressed and not, GET and POST, over one kept connection; requests, connections and bytes are counted."""
    plain, body = asked(client)
    gzipped, packed = asked(client, Accept_Encoding="gzip")
    form = QUERY.partition("?")[2]
    posted, same = asked(client, "/api/v1/query", "POST", form, Content_Type="application/x-www-form-urlencoded")

    assert (plain.status, gzipped.status, posted.status) == (200, 200, 200)
    assert body == same == body_of(server)
    assert gzipped.headers["Content-Encoding"] == "gzip"
    assert len(packed) < len(body)
    assert (proxy.connections, proxy.requests) == (1, 3)
    assert proxy.sent_bytes > len(body) + len(packed) + len(same)
    assert [(seen.connection, seen.number, seen.method) for seen in proxy.seen] == [(0, 0, "GET"), (0, 1, "GET"), (0, 2, "POST")]
    assert proxy.seen[2].body.decode() == form


def test_it_passes_on_how_the_server_says_no(client):
    """Its status and its words."""
    reply, body = asked(client, "/api/v1/query?query=up{")

    assert reply.status == 400
    assert json.loads(body)["errorType"] == "bad_data"


def test_a_word_in_a_request_is_found(proxy, client):
    """In a header, the line, or the body; and not when it was not there."""
    asked(client, Authorization="Bearer in-a-header")
    asked(client, "/-/ready?token=in-the-line")
    asked(client, "/api/v1/query", "POST", "query=in_the_body")

    assert all(proxy.mentioned(word) for word in ("Bearer in-a-header", "in-the-line", "in_the_body"))
    assert not proxy.mentioned("elsewhere")


@pytest.mark.parametrize("after_bytes", [0, 1, 10, 300, 5000])
def test_a_reply_is_cut_to_the_byte(proxy, after_bytes):
    """In the head or in the body; orderly ended when told so."""
    whole, _ = received(proxy)
    proxy.plan = always(Cut(after_bytes, reset=False))

    raw, end = received(proxy)

    assert len(whole) > 5000
    assert (len(raw), end) == (after_bytes, "FIN")
    assert raw[:10] == whole[:10][:after_bytes]


def test_a_cut_connection_is_reset(proxy):
    """Unless told otherwise; the next connection is as before."""
    proxy.plan = by_connection({0: Cut(100)})

    first, second = received(proxy), received(proxy)

    assert (first[0][:9], first[1]) == (b"HTTP/1.1 ", "RST")
    assert len(first[0]) == 100
    assert len(second[0]) > 5000
    assert proxy.connections == 2


def test_a_stalled_reply_stays_open(proxy):
    """So many bytes and no more, until the proxy stops or the time is over."""
    proxy.plan = by_request({0: Stall(200), 1: Stall(200, for_s=0.1)})

    first, second = received(proxy), received(proxy)

    assert (len(first[0]), first[1]) == (200, "open")
    assert (len(second[0]), second[1]) == (200, "RST")


@pytest.mark.parametrize("after_bytes", [0, 100, 10**9])
def test_a_trickling_reply_is_whole_in_the_end(proxy, client, after_bytes):
    """A byte at a time from the head on, from the body on, or never."""
    path, begun_s = "/api/v1/status/buildinfo", time.monotonic()
    whole = asked(client, path)[1]
    proxy.plan = always(Trickle(after_bytes, every_s=0.001))
    reply, body = asked(client, path)

    assert (reply.status, body) == (200, whole)
    assert (time.monotonic() - begun_s > 0.001 * (len(body) - 100)) or after_bytes == 10**9


def test_a_delayed_reply_is_whole(proxy, client, server):
    """It only comes later."""
    proxy.plan = always(Delay(0.2))
    begun_s = time.monotonic()

    _, body = asked(client)

    assert time.monotonic() - begun_s >= 0.2
    assert body == body_of(server)


def test_it_refuses_by_itself(proxy, client):
    """429, 503 and 500, with and without Retry-After; the connection is kept, the server is not asked."""
    proxy.plan = by_request({0: busy(429, retry_after_s=2), 1: busy(503), 2: busy(500)})

    replies = [asked(client)[0] for _ in range(4)]

    assert [(one.status, one.headers["Retry-After"]) for one in replies] == [(429, "2"), (503, None), (500, None), (200, None)]
    assert proxy.connections == 1


def test_it_says_no_and_yes_as_the_api_does(proxy, client, server):
    """An error, a success with warnings that the server never gave, and the server's own data with warnings."""
    proxy.plan = by_request(
        {0: api_error("execution", "too much"), 1: api_success([], warnings=["partial"]), 2: warned("a store was down")}
    )

    (error, said), (_, made), (_, real) = asked(client), asked(client), asked(client, Accept_Encoding="gzip")

    assert error.status == 422
    assert json.loads(said) == {"status": "error", "errorType": "execution", "error": "too much"}
    assert json.loads(made) == {"status": "success", "data": [], "warnings": ["partial"]}
    assert json.loads(real) == {**json.loads(body_of(server)), "warnings": ["a store was down"]}


def test_a_body_is_shortened_or_damaged_within_a_sound_frame(proxy, client, server):
    """What HTTP alone cannot notice."""
    body = body_of(server)
    proxy.plan = by_request({0: truncated(1000), 1: flipped(8 * 500 + 3), 2: flipped(-1)})

    (_, short), (_, first), (_, last) = asked(client), asked(client), asked(client)

    assert short == body[:1000]
    assert first == body[:500] + bytes([body[500] ^ 8]) + body[501:]
    assert last == body[:-1] + bytes([body[-1] ^ 128])


def test_it_redirects_elsewhere(proxy, client):
    """By Location; the client decides whether it goes there."""
    proxy.plan = always(redirect("http://127.0.0.2:9/elsewhere"))

    reply, _ = asked(client)

    assert (reply.status, reply.headers["Location"]) == (302, "http://127.0.0.2:9/elsewhere")


def test_a_plan_may_go_by_path(proxy, client):
    """The first that fits."""
    proxy.plan = by_path({"/api/v1/read": busy(404), "/api/": busy(503)})

    assert [asked(client, path)[0].status for path in ("/api/v1/read", "/api/v1/query", "/-/ready")] == [404, 503, 200]


def test_chance_is_the_same_for_the_same_seed(proxy, client):
    """By the request's number alone; about the share is hit, with each of the acts."""
    acts = [lambda rng: Cut(rng.randrange(100)), lambda rng: busy(503)]
    asked(client)
    (seen,) = proxy.seen
    numbered = [type(seen)(0, number, seen.line, seen.headers, seen.body) for number in range(400)]

    first, again, other = ([at_random(seed, acts, 0.3)(one) for one in numbered] for seed in (1, 1, 2))

    assert first == again != other
    assert 80 < sum(act is not PASS for act in first) < 160
    assert {type(act).__name__ for act in first} == {"Pass", "Cut", "Answer"}
    assert at_random(1, acts, 0.3)(random.Random(0).choice(numbered)) in first


def test_a_server_that_is_away_is_a_bad_gateway(client, proxy, server):
    """And when it is back, the same connection works again."""
    server.kill9()
    try:
        away, _ = asked(client)
    finally:
        server.start()
    back, body = asked(client)

    assert (away.status, back.status) == (502, 200)
    assert body == body_of(server)
