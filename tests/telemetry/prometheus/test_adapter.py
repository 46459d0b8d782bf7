"""The one way to a server: what goes out and to whom, and what each kind of answer becomes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3.util.connection import is_connection_dropped

from tasks.base import addresses
from tasks.base.errors import CredentialsError, DocumentError, PreflightError
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter, Request, Unreachable
from tests.prometheus.cutting_proxy import Answer, CuttingProxy, always, busy, by_request, redirect
from tests.telemetry.exporters import serving
from tests.telemetry.prometheus.authority import DAY, Authority
from tests.telemetry.source_contract import until

WORD, KEY = "hunter2", "hunter3"
FINE = Answer(200, b"fine")


@contextmanager
def answering(*acts) -> Iterator[CuttingProxy]:
    """A server that says *acts* one after the other, the last one for ever."""
    with CuttingProxy(1, by_request(dict(enumerate(acts)), otherwise=acts[-1])) as server:
        yield server


def asked(url, request=None, **access):
    """Status and body."""
    reply = DirectAdapter(Access(url, **access)).send(request or Request("/x"))
    return reply.status, b"".join(reply.pieces())


@pytest.fixture
def token(monkeypatch) -> dict[str, str]:
    """A token in the environment, as an access names it."""
    monkeypatch.setenv("TOKEN_OF_A_TEST", WORD)
    return {"token_env": "TOKEN_OF_A_TEST"}


# -- what goes out --------------------------------------------------------------------------------------------------------


def test_a_request_is_sent_as_it_was_meant(token, monkeypatch):
    """Below the address' own path, its query escaped, with a POST where there is a body, and everything that lets it in."""
    monkeypatch.setenv("KEY_OF_A_TEST", KEY)
    with answering(FINE) as server:
        adapter = DirectAdapter(
            Access(f"{server.url}/prefix/", {"X-Scope-OrgID": "team"}, header_env={"X-Api-Key": "KEY_OF_A_TEST"}, **token)
        )
        replies = [
            adapter.send(Request("/api/v1/query", {"query": 'a{b="c d&e"}', "time": "1.5"})),
            adapter.send(Request("/api/v1/read", body=b"\x00raw", headers={"Content-Type": "x"})),
        ]
        bodies = [b"".join(reply.pieces()) for reply in replies]
        get, post = server.seen

    assert bodies == [b"fine", b"fine"]
    assert adapter.name == f"{server.url}/prefix"
    assert get.line == "GET /prefix/api/v1/query?query=a%7Bb%3D%22c+d%26e%22%7D&time=1.5 HTTP/1.1"
    assert (post.line, post.body) == ("POST /prefix/api/v1/read HTTP/1.1", b"\x00raw")
    for seen in (get, post):
        headers = {name.lower(): value for name, value in seen.headers}
        assert (headers["authorization"], headers["x-api-key"]) == (f"Bearer {WORD}", KEY)
        assert (headers["x-scope-orgid"], headers["accept-encoding"], headers["user-agent"]) == ("team", "identity", "tidegauge")
    assert dict(post.headers)["Content-Type"] == "x"


def test_a_token_is_read_anew_for_each_request(tmp_path):
    """It is rotated in clusters; when it is gone, nothing is sent."""
    path = tmp_path / "token"
    with answering(FINE) as server:
        adapter = DirectAdapter(Access(server.url, token_file=str(path)))
        for text in ("first", "second"):
            path.write_text(text)
            b"".join(adapter.send(Request("/x")).pieces())
        path.unlink()
        with pytest.raises(CredentialsError):
            adapter.send(Request("/x"))

        assert [dict(seen.headers)["Authorization"] for seen in server.seen] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_not_used(monkeypatch, token, variable):
    """A token would go to whoever set the variable."""
    with answering(FINE) as server, answering(Answer(200, b"proxied")) as proxy:
        monkeypatch.setenv(variable, proxy.url)

        assert asked(server.url, **token) == (200, b"fine")
        assert proxy.connections == 0


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://u:p@127.0.0.1", "http://169.254.169.254"])
def test_a_wrong_address_is_refused_before_anything_is_sent(url):
    """With what to do."""
    with pytest.raises(DocumentError) as refused:
        DirectAdapter(Access(url))

    assert refused.value.next_step


@pytest.mark.parametrize("found", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0"])
def test_a_name_that_leads_to_credentials_is_refused(monkeypatch, token, found):
    """Whatever its text is: what the resolver says is looked at before the connection."""
    asked_for = []

    def resolver(host, *_, **__):
        asked_for.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (found, 0, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(PreflightError, match=f"leads to {found}"):
        asked("https://innocent.example", **token)

    assert asked_for == ["innocent.example"]


def test_a_name_that_leads_elsewhere_when_it_is_looked_up_again_is_refused(monkeypatch):
    """Innocent when asked first, credentials when connected to: the connection itself is looked at, and no byte is sent on it."""
    lookups = iter(["127.0.0.3"])

    def resolver(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(lookups, "127.0.0.1"), server.port))]

    with answering(FINE) as server:
        monkeypatch.setattr(addresses, "METADATA_ADDRESSES", frozenset({ipaddress.ip_address("127.0.0.1")}))
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        with pytest.raises(PreflightError, match=r"innocent\.example leads to 127\.0\.0\.1"):
            asked(f"http://innocent.example:{server.port}")

        until(lambda: server.connections == 1)  # the client hangs up at once: the server may take it up only after that
        assert server.requests == 0


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 70}.example", "no-such-host.invalid"])
def test_a_name_that_is_none_is_unreachable(host):
    """A label too long, an empty one, or nobody's."""
    with pytest.raises(Unreachable, match=host[:60]):
        asked(f"http://{host}:9")


# -- what comes back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirects_are_never_followed(token, status, method):
    """The other server sees no connection, let alone a token; the message says where to."""
    with answering(FINE) as other, answering(redirect(f"{other.url}/login", status=status)) as server:
        with pytest.raises(PreflightError, match=rf"redirects to '{other.url}/login'"):
            asked(server.url, Request("/x", body=b"b" if method == "POST" else None), **token)

        assert server.mentioned(WORD)
        assert (server.requests, other.connections) == (1, 0)


@pytest.mark.parametrize("status", [200, 204, 400, 404, 405, 415, 422])
def test_what_the_api_speaks_with_is_passed_on(status):
    """Its body says more; nothing is raised."""
    body = b"" if status == 204 else b'{"status": "error"}'
    with answering(Answer(status, body)) as server:
        assert asked(server.url) == (status, body)


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_door_is_about_credentials(token, status):
    """No use in trying again; the token is not told."""
    with answering(Answer(status, f"no {WORD}".encode())) as server, pytest.raises(CredentialsError, match=str(status)) as refused:
        asked(server.url, **token)

    assert WORD not in str(refused.value)
    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    ("status", "retry_after", "expected_s"),
    [
        (429, "7", 7.0),
        (503, "120", 120.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (503, "-1", None),
        (500, None, None),
        (502, None, None),
        (504, "", None),
    ],
)
def test_a_busy_server_is_worth_another_try(status, retry_after, expected_s):
    """After as long as it says itself, where it says so in seconds; with the first line of its reason."""
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    with answering(Answer(status, b"\n  too much\nand more\n", headers)) as server, pytest.raises(Unreachable) as refused:
        asked(server.url)

    assert refused.value.retry_after_s == expected_s
    assert str(refused.value) == f"{server.url} answers {status}: too much"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe<html>" + b"x" * 100_000])
def test_a_reason_is_short_whatever_the_body(body):
    """None, or pages of it."""
    with answering(Answer(500, body)) as server, pytest.raises(Unreachable) as refused:
        asked(server.url)

    assert len(str(refused.value)) < 300


def chunked(*pieces: bytes) -> bytes:
    """A reply of 200 in chunks, without its end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def test_a_chunked_reply_arrives_whole():
    """Piece by piece, however it was cut."""
    pieces = [bytes([number]) * number * 1000 for number in range(1, 20)]
    with serving(chunked(*pieces) + b"0\r\n\r\n") as server:
        reply = DirectAdapter(Access(f"http://127.0.0.1:{server.port}")).send(Request("/x"))

        assert reply.headers["content-type"] == "x/y"
        assert b"".join(reply.pieces()) == b"".join(pieces)


@pytest.mark.parametrize(
    "raw",
    [
        chunked(b"a" * 1000),
        chunked(b"a" * 1000)[:-500],
        chunked(b"a") + b"5\r\nab",
        chunked(b"a") + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 999,
    ],
)
def test_a_reply_that_is_cut_is_never_whole(raw):
    """By its end mark, or by its length."""

    def answer(_, send):
        send(raw)
        return False

    with serving(answer) as server:
        reply = DirectAdapter(Access(f"http://127.0.0.1:{server.port}")).send(Request("/x"))
        with pytest.raises(Unreachable, match="cut off"):
            list(reply.pieces())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunke",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-streamed-protobuf\r\nTransf",
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
)
def test_half_a_head_is_no_reply(raw):
    """Nor is another protocol."""

    def answer(_, send):
        send(raw)
        return False

    with serving(answer) as server, pytest.raises(Unreachable):
        asked(f"http://127.0.0.1:{server.port}")


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", chunked(b"abc")])
def test_a_server_that_falls_silent_is_unreachable(raw):
    """Before its head, or in the middle of a body; the time is that of the request."""
    silent = threading.Event()

    def answer(_, send):
        send(raw)
        silent.wait(20)
        return False

    with serving(answer) as server, pytest.raises(Unreachable, match="imed out"):
        asked(f"http://127.0.0.1:{server.port}", Request("/x", timeout_s=0.1))
    silent.set()


def test_nobody_listens():
    """A sentence with the address, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
    with pytest.raises(Unreachable, match=f"{url}: .*refused"):
        asked(url)


def test_connections_are_kept_and_broken_ones_dropped():
    """Replies that were read whole leave their connection to the next request; one that was not read does not disturb the next."""
    with answering(FINE, FINE, Answer(200, b"x" * 3_000_000), FINE, busy(), FINE) as server:
        adapter = DirectAdapter(Access(server.url))
        for _ in range(2):
            assert b"".join(adapter.send(Request("/x")).pieces()) == b"fine"
        assert server.connections == 1
        unread = adapter.send(Request("/x"))
        next(unread.pieces())
        unread.close()
        assert b"".join(adapter.send(Request("/x")).pieces()) == b"fine"
        with pytest.raises(Unreachable):
            adapter.send(Request("/x"))
        assert b"".join(adapter.send(Request("/x")).pieces()) == b"fine"
        assert server.connections <= 3


def test_a_server_that_keeps_no_connection_is_no_trouble():
    """Where it says that it closes, no second request goes over the same one."""

    def answer(_, send):
        send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine")
        return False

    with serving(answer) as server:
        adapter = DirectAdapter(Access(f"http://127.0.0.1:{server.port}"))
        kept = adapter._pool.connection_from_url(adapter.name).pool
        for _ in range(3):
            assert b"".join(adapter.send(Request("/x")).pieces()) == b"fine"
            until(lambda: all(one is None or is_connection_dropped(one) for one in kept.queue))  # its close may still be on the way
        assert server.connections == 3


# -- TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Authority:
    """An authority that we know."""
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Authority:
    """One that we do not."""
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@contextmanager
def secured(pair, clients=None, speak=None) -> Iterator[int]:
    """
    A server with the certificate *pair*, which wants one of its clients where *clients* names their authority; its port.

    Then it speaks TLS 1.2, where a client learns in the handshake why it is refused, not at its first request or never. It answers
    as *speak* does with the connection, where that is given.
    """

    class Handler(BaseHTTPRequestHandler):
        def handle(self):
            if speak is None:
                super().handle()
            else:
                speak(self.connection)

        def do_GET(self):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")

        def log_message(self, *_):
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_):
            """A handshake that failed is the client's matter."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_a_known_authority_is_trusted(ours, token, host):
    """Under each of its names; a token may go there."""
    with secured(ours.server("127.0.0.1", "localhost")) as port:
        assert asked(f"https://{host}:{port}", ca_file=str(ours.ca), **token) == (200, b"fine")


@pytest.mark.parametrize(
    ("hosts", "valid", "known", "why", "next_step"),
    [
        (("127.0.0.1",), DAY, "theirs", "issuer", "ca_file"),
        (("127.0.0.1",), DAY, None, "issuer", "ca_file"),
        (("127.0.0.1",), -DAY, "ours", "expired", "mend it there"),
        (("127.0.0.1",), -2 * DAY + dt.timedelta(hours=1), "ours", "expired", "mend it there"),
        (("example.com",), DAY, "ours", "mismatch", "the name that stands in it"),
        (("localhost",), DAY, "ours", "mismatch", "the name that stands in it"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_refused(ours, theirs, hosts, valid, known, why, next_step):
    """Of an authority that nobody knows, expired, or somebody else's: the reason and what to do, and no second try."""
    authority = {"ours": ours, "theirs": theirs, None: None}[known]
    with secured(ours.server(*hosts, valid=valid)) as port, pytest.raises(PreflightError, match=f"not trusted: .*{why}") as refused:
        asked(f"https://127.0.0.1:{port}", ca_file=None if authority is None else str(authority.ca))

    assert next_step in str(refused.value.next_step)


def test_a_client_shows_its_certificate(ours):
    """A server that wants one lets us in with it."""
    mine = ours.client("me")
    with secured(ours.server("127.0.0.1"), ours.ca) as port:
        url, known = f"https://127.0.0.1:{port}", {"ca_file": str(ours.ca)}

        assert asked(url, **known, cert_file=str(mine.cert), key_file=str(mine.key)) == (200, b"fine")


@pytest.mark.parametrize("which", ["expired", "of another authority"])
def test_a_client_without_a_valid_certificate_is_told_so(ours, theirs, which):
    """It is about credentials: trying again would not help."""
    pair = ours.client("me", -DAY) if which == "expired" else theirs.client("me")
    mine = {"cert_file": str(pair.cert), "key_file": str(pair.key)}
    with secured(ours.server("127.0.0.1"), ours.ca) as port, pytest.raises(CredentialsError, match="does not take our certificate"):
        asked(f"https://127.0.0.1:{port}", ca_file=str(ours.ca), **mine)


@pytest.mark.parametrize("wrong", ["no ca", "no certificate", "another key", "no file"])
def test_certificates_that_cannot_be_read_are_told_before_anything_is_sent(ours, tmp_path, wrong):
    """Files that are absent, of something else, or do not belong together."""
    one, other, text = ours.client("one"), ours.client("other"), tmp_path / "text"
    text.write_text("nothing of the kind")
    access = {
        "no ca": {"ca_file": str(text)},
        "no certificate": {"cert_file": str(text), "key_file": str(one.key)},
        "another key": {"cert_file": str(one.cert), "key_file": str(other.key)},
        "no file": {"ca_file": str(tmp_path / "absent")},
    }[wrong]

    with pytest.raises(CredentialsError, match="cannot be read"):
        DirectAdapter(Access("https://127.0.0.1", **access))


def test_tls_where_there_is_none_and_the_other_way_round(ours):
    """Both are unreachable, with a sentence."""
    with secured(ours.server("127.0.0.1")) as port, answering(FINE) as plain:
        for url in (f"http://127.0.0.1:{port}", plain.url.replace("http", "https")):
            with pytest.raises(Unreachable, match=url):
                asked(url)


def test_always_is_the_plan_of_a_server_that_never_changes():
    """What the tests above rest on: an answer of our own reaches the client without any server behind."""
    with CuttingProxy(1, always(Answer(200, b"alone"))) as server:
        assert asked(server.url) == (200, b"alone")
