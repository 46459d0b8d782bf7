"""A real exporter on loopback that does what a test tells it, and remembers what it showed to whom and when."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

from tasks.telemetry.prometheus.batch import Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Kind = Literal["gauge", "counter"]
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer to a scrape."""

    time_s: float
    """When the request came: a little later than the sample's own time, which is when the server began to scrape."""
    status: int
    delivered: bool
    """Whether all of it was sent; False: the server had hung up before."""
    values: dict[Labels, float]
    """What was exposed, by labels with ``__name__``, without what the server adds; empty with another status than 200."""
    stamps_ms: dict[Labels, int]
    """The times that were exposed with some of them."""


class Exporter:
    """
    Gauges and counters behind ``/metrics``; by ``with`` or :meth:`appear`.

    All methods may be called while a server scrapes it; each answer shows one state, never half a change.
    """

    def __init__(self) -> None:
        self.port = 0
        """Given when it first appears; the same when it comes back."""
        self._lock = threading.Lock()
        self._kinds: dict[str, Kind] = {}
        self._values: dict[Labels, float] = {}
        self._stamps_ms: dict[Labels, int] = {}
        self._shown: list[Shown] = []
        self._status, self._delay_s = 200, 0.0
        self._gone = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """``host:port``, as a target is named."""
        return f"127.0.0.1:{self.port}"

    @property
    def shown(self) -> tuple[Shown, ...]:
        """All answers so far, in the order in which they were made."""
        with self._lock:
            return tuple(self._shown)

    def __enter__(self) -> Self:
        return self.appear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.vanish()

    def appear(self) -> Self:
        """Listen, on the same port as before."""
        if self._server is None:
            self._gone.clear()
            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
            self._server.daemon_threads = True
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def vanish(self) -> None:
        """Listen no more: connections are refused, slow answers broken off. The values stay."""
        server, self._server = self._server, None
        if server is not None:
            self._gone.set()
            server.shutdown()
            server.server_close()

    def gauge(self, name: str, value: float, *, stamp_ms: int | None = None, **labels: str) -> None:
        """Show *value*, with the time *stamp_ms* beside it where that is given."""
        with self._lock:
            key = self._key("gauge", name, labels)
            self._values[key] = value
            self._stamps_ms.pop(key, None)
            if stamp_ms is not None:
                self._stamps_ms[key] = stamp_ms

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Raise a counter, which begins at zero."""
        with self._lock:
            key = self._key("counter", name, labels)
            self._values[key] = self._values.get(key, 0.0) + by

    def _key(self, kind: Kind, name: str, labels: dict[str, str]) -> Labels:
        if self._kinds.setdefault(name, kind) != kind:
            raise ValueError(f"{name} is no {kind}")
        return tuple(sorted({"__name__": name, **labels}.items()))

    def remove(self, name: str, **labels: str) -> None:
        """Show one series no more; the server ends it at its next scrape."""
        with self._lock:
            key = tuple(sorted({"__name__": name, **labels}.items()))
            del self._values[key]
            self._stamps_ms.pop(key, None)

    def restart(self) -> None:
        """All counters to zero, as by a new process."""
        with self._lock:
            self._values = {key: 0.0 if self._kinds[dict(key)["__name__"]] == "counter" else value for key, value in self._values.items()}

    def rename(self, old: str, new: str) -> None:
        """Show a metric under another name from now on, with its values."""
        with self._lock:
            self._kinds[new] = self._kinds.pop(old)
            self._values = {_renamed(key, old, new): value for key, value in self._values.items()}
            self._stamps_ms = {_renamed(key, old, new): stamp for key, stamp in self._stamps_ms.items()}

    def fail(self, status: int = 500) -> None:
        """Answer with *status* and no values from now on; 200: as usual again."""
        with self._lock:
            self._status = status

    def slow(self, delay_s: float) -> None:
        """Answer *delay_s* late from now on, with the values of then."""
        with self._lock:
            self._delay_s = delay_s

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one scrape, and remember it."""
        time_s = time.time()
        with self._lock:
            delay_s = self._delay_s
        if delay_s and self._gone.wait(delay_s):
            handler.close_connection = True
            return
        with self._lock:
            status = self._status
            values, stamps_ms = (dict(self._values), dict(self._stamps_ms)) if status == 200 else ({}, {})
            body = "".join(_lines(self._kinds, values, stamps_ms)).encode()
            delivered = _sent(handler, status, body)
            self._shown.append(Shown(time_s, status, delivered, values, stamps_ms))


def _renamed(key: Labels, old: str, new: str) -> Labels:
    return tuple(sorted({**dict(key), "__name__": new}.items())) if dict(key)["__name__"] == old else key


def _lines(kinds: dict[str, Kind], values: dict[Labels, float], stamps_ms: dict[Labels, int]) -> Iterator[str]:
    """The text format 0.0.4, metric by metric."""
    for name, kind in kinds.items():
        yield f"# TYPE {name} {kind}\n"
        for key, value in values.items():
            if dict(key)["__name__"] == name:
                labels = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in key if label != "__name__")
                stamp = f" {stamps_ms[key]}" if key in stamps_ms else ""
                yield f"{name}{{{labels}}} {value!r}{stamp}\n"


def _sent(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> bool:
    """Whether whoever asked was still there, and took all of it."""
    try:
        if select.select([handler.connection], [], [], 0)[0] and not handler.connection.recv(1, socket.MSG_PEEK):
            return False
        handler.send_response(status)
        handler.send_header("Content-Type", CONTENT_TYPE)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
    except OSError:
        return False
    return True


def _handler(exporter: Exporter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Closes the connection after each answer (HTTP/1.0), so that who vanished is not scraped over an old one."""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] == "/metrics":
                exporter._answer(self)
            else:
                self.send_error(404)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the name in the library
            """Say nothing."""

    return Handler
