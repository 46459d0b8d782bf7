"""
A proxy on loopback between a client and a real server that cuts, stalls, lies and redirects as told.

What happens to a request is an act, a value; a plan chooses one for each request, by its numbers, its path, or at random from a
seed. The proxy speaks HTTP/1.1 to the client and keeps its connections; it counts, and remembers what it was asked.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PIECE_BYTES = 1 << 16
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came, as it came."""

    connection: int
    """Number of its connection, from 0."""
    number: int
    """Its own number among all requests, from 0."""
    line: str
    """``GET /api/v1/query?... HTTP/1.1``."""
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def method(self) -> str:
        """``GET``, ``POST``."""
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        """With its query."""
        return self.line.split(" ")[1]

    @property
    def text(self) -> str:
        """All of it, to look for a word that must not be in it."""
        return "\n".join([self.line, *(f"{name}: {value}" for name, value in self.headers), self.body.decode("latin-1")])


@dataclass(frozen=True, slots=True)
class Pass:
    """Ask the server, and pass on what it says."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Pass on so many bytes of the reply, its head counted in, and end the connection; also when the reply is shorter."""

    after_bytes: int
    reset: bool = True
    """By RST, as when the other machine died; False: by FIN, as when the program ended."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Pass on so many bytes of the reply, its head counted in, and then nothing."""

    after_bytes: int
    for_s: float = 3600.0
    """Then the connection is reset; when the proxy stops, if that is sooner."""


@dataclass(frozen=True, slots=True)
class Trickle:
    """Pass on so many bytes of the reply, its head counted in, and then one byte at a time, so that the client never waits long."""

    after_bytes: int
    every_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Delay:
    """Ask the server so much later."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Say this, without asking the server."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Ask the server, and pass on a whole and well-framed reply with another body."""

    change: Callable[[bytes], bytes]
    plain: bool = False
    """Change what the server says uncompressed, and say it so; False: change the bytes as they would have been passed on."""


Act = Pass | Cut | Stall | Trickle | Delay | Answer | Rewrite
Plan = Callable[[Seen], Act]
PASS = Pass()
_JSON = ("Content-Type", "application/json")


def busy(status: int = 503, *, retry_after_s: int | None = None) -> Answer:
    """Refused for now (429, 503), or broken (500), with ``Retry-After`` where it is given."""
    return Answer(status, b"try again\n", () if retry_after_s is None else (("Retry-After", str(retry_after_s)),))


def api_error(kind: str, said: str, *, status: int = 422) -> Answer:
    """The API's own way to say no: ``{"status": "error", "errorType": kind, "error": said}``."""
    return Answer(status, json.dumps({"status": "error", "errorType": kind, "error": said}).encode(), (_JSON,))


def api_success(data: Any, *, warnings: Sequence[str] = ()) -> Answer:
    """An answer of the API that the server never gave, with *warnings* where there are any."""
    value = {"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})}
    return Answer(200, json.dumps(value).encode(), (_JSON,))


def redirect(location: str, *, status: int = 302) -> Answer:
    """Send the client to *location*, which may be another host."""
    return Answer(status, b"", (("Location", location),))


def truncated(after_bytes: int) -> Rewrite:
    """A body of so many bytes, framed as if that were all."""
    return Rewrite(lambda body: body[:after_bytes])


def flipped(bit: int) -> Rewrite:
    """A body with one bit turned, counted from its beginning; from its end when negative."""

    def change(body: bytes) -> bytes:
        place = bit % (8 * len(body))
        return body[: place // 8] + bytes([body[place // 8] ^ 1 << place % 8]) + body[place // 8 + 1 :]

    return Rewrite(change)


def warned(*warnings: str) -> Rewrite:
    """The API's real answer with *warnings* in it, as Thanos and others give with partial data."""
    return Rewrite(lambda body: json.dumps({**json.loads(body), "warnings": list(warnings)}).encode(), plain=True)


def always(act: Act) -> Plan:
    """The same for each request."""
    return lambda _: act


def by_connection(acts: Mapping[int, Act], otherwise: Act = PASS) -> Plan:
    """By the number of the connection."""
    return lambda seen: acts.get(seen.connection, otherwise)


def by_request(acts: Mapping[int, Act], otherwise: Act = PASS) -> Plan:
    """By the number of the request."""
    return lambda seen: acts.get(seen.number, otherwise)


def by_path(acts: Mapping[str, Act], otherwise: Act = PASS) -> Plan:
    """By what the path begins with."""
    return lambda seen: next((act for start, act in acts.items() if seen.path.startswith(start)), otherwise)


def at_random(seed: int, acts: Sequence[Callable[[random.Random], Act]], share: float = 0.5) -> Plan:
    """
    One of *acts* for a *share* of the requests; which, depends on the seed and the request's number alone.

    Such as ``at_random(7, [lambda rng: Cut(rng.randrange(100_000)), lambda rng: busy(503)])``.
    """

    def plan(seen: Seen) -> Act:
        rng = random.Random(f"{seed}/{seen.number}")
        return rng.choice(acts)(rng) if rng.random() < share else PASS

    return plan


class _Ended(Exception):
    """The act ends the connection here."""


@dataclass
class _Tap:
    """Writes to the client, counts, and stops after a number of bytes."""

    proxy: CuttingProxy
    connection: socket.socket
    left: int | None = None
    """None: no limit."""
    drop_s: float | None = None
    """Behind the limit a byte this often; None: nothing."""

    def write(self, data: bytes) -> None:
        """
        Send *data*, or the part of it that may still be sent.

        Raises:
            _Ended: The limit is reached.
        """
        if self.drop_s is not None:
            self._drop(data)
            return
        part = data if self.left is None else data[: self.left]
        self.connection.sendall(part)
        self.proxy._count(len(part))
        if self.left is not None:
            self.left -= len(part)
            if self.left <= 0:
                raise _Ended

    def _drop(self, data: bytes) -> None:
        """Send what is before the limit at once, and the rest in drops."""
        at_once, self.left = data[: self.left], max(0, (self.left or 0) - len(data))
        self.connection.sendall(at_once)
        for place in range(len(at_once), len(data)):
            if self.proxy._stopping.wait(self.drop_s):
                raise _Ended
            self.connection.sendall(data[place : place + 1])
        self.proxy._count(len(data))


@dataclass
class CuttingProxy:
    """
    By ``with`` or :meth:`start`; the plan may be replaced at any time, and holds for the requests that come then.

    Args:
        upstream_port: The real server's port on loopback.
    """

    upstream_port: int
    plan: Plan = field(default_factory=lambda: always(PASS))
    port: int = 0
    connections: int = 0
    """How many were accepted."""
    sent_bytes: int = 0
    """To clients, heads and framing counted in."""
    _seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> tuple[Seen, ...]:
        """All requests so far, in the order in which they came."""
        with self._lock:
            return tuple(self._seen)

    @property
    def requests(self) -> int:
        """How many there were."""
        with self._lock:
            return len(self._seen)

    def mentioned(self, word: str) -> bool:
        """Whether *word*, such as a token, was in any request: in its line, a header, or the body."""
        return any(word in seen.text for seen in self.seen)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Listen no more; what stalls is reset."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _accepted(self) -> int:
        with self._lock:
            self.connections += 1
            return self.connections - 1

    def _count(self, size: int) -> None:
        with self._lock:
            self.sent_bytes += size

    def _received(self, connection: int, line: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Seen:
        with self._lock:
            seen = Seen(connection, len(self._seen), line, headers, body)
            self._seen.append(seen)
            return seen

    def _act(self, seen: Seen, client: socket.socket) -> bool:
        """Do to *seen* what the plan says; whether the connection goes on."""
        act = self.plan(seen)
        limit = act.after_bytes if isinstance(act, Cut | Stall | Trickle) else None
        tap = _Tap(self, client, limit, act.every_s if isinstance(act, Trickle) else None)
        try:
            if limit == 0 and isinstance(act, Cut | Stall):
                raise _Ended
            if isinstance(act, Delay) and self._stopping.wait(act.delay_s):
                raise _Ended
            self._reply(act, seen, tap)
        except _Ended:
            if isinstance(act, Stall):
                self._stopping.wait(act.for_s)
            _end(client, reset=not isinstance(act, Cut) or act.reset)
            return False
        return not isinstance(act, Cut | Stall)

    def _reply(self, act: Act, seen: Seen, tap: _Tap) -> None:
        if isinstance(act, Answer):
            tap.write(_head(act.status, act.headers, len(act.body)) + act.body)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=60)
        try:
            reply = _asked(upstream, seen, plain=isinstance(act, Rewrite) and act.plain)
            if isinstance(act, Rewrite):
                body = act.change(reply.read())
                tap.write(_head(reply.status, _kept(reply), len(body)) + body)
            else:
                _relay(reply, seen, tap)
        except ConnectionRefusedError:
            tap.write(_head(502, (), 0))
        finally:
            upstream.close()


def _asked(upstream: http.client.HTTPConnection, seen: Seen, *, plain: bool) -> http.client.HTTPResponse:
    upstream.putrequest(seen.method, seen.path, skip_host=True, skip_accept_encoding=True)
    upstream.putheader("Host", f"{upstream.host}:{upstream.port}")
    for name, value in seen.headers:
        if name.lower() not in _HOP and not (plain and name.lower() == "accept-encoding"):
            upstream.putheader(name, value)
    if seen.body or seen.method == "POST":
        upstream.putheader("Content-Length", str(len(seen.body)))
    upstream.endheaders(seen.body or None)
    return upstream.getresponse()


def _relay(reply: http.client.HTTPResponse, seen: Seen, tap: _Tap) -> None:
    """Pass on *reply* as it comes, framed as the server framed it."""
    length = reply.headers.get("Content-Length")
    tap.write(_head(reply.status, _kept(reply), None if length is None else int(length)))
    if seen.method == "HEAD" or reply.status in (204, 304):
        return
    while piece := reply.read1(PIECE_BYTES):
        tap.write(piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
    if length is None:
        tap.write(b"0\r\n\r\n")


def _kept(reply: http.client.HTTPResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in reply.getheaders() if name.lower() not in _HOP)


def _head(status: int, headers: Sequence[tuple[str, str]], length: int | None) -> bytes:
    """*length* None: chunked."""
    framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    frame = () if status in (204, 304) else (framing,)
    lines = [
        f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}",
        *(f"{name}: {value}" for name, value in (*headers, *frame)),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _end(client: socket.socket, *, reset: bool) -> None:
    """End the connection for both directions; with *reset*, what was sent last may never arrive."""
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(client.detach())  # closed here: the library would say farewell with a FIN before
    else:
        client.shutdown(socket.SHUT_RDWR)


def _handler(proxy: CuttingProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.place = proxy._accepted()

        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen = proxy._received(self.place, self.requestline, tuple(self.headers.items()), body)
            try:
                goes_on = proxy._act(seen, self.connection)
            except (OSError, http.client.HTTPException):  # the client or the server went away in the middle
                goes_on = False
            self.close_connection = self.close_connection or not goes_on

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the name in the library
            """Say nothing."""

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler.relay)
    return Handler
