"""Small stream servers on the event loop: bytes come in, a pure function makes the reply."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from tasks.cluster.loop import Loop

LIMIT_BYTES = 1 << 20
LIMIT_CONNECTIONS = 128
IDLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, and whether the connection ends with it."""

    data: bytes
    close: bool = False


Answer = Callable[[bytearray], Reply | None]
"""Takes one whole request off the front of what was received; None when it is not all there yet."""


class Server:
    """Answers on every connection to *listener* (bound and listening; closed by :meth:`close`)."""

    def __init__(self, loop: Loop, listener: socket.socket, answer: Answer) -> None:
        self._loop, self._listener, self._answer = loop, listener, answer
        self._open: set[_Connection] = set()
        listener.setblocking(False)
        loop.watch(listener, self._accept)
        loop.every(IDLE_S / 4, self._sweep)

    def close(self) -> None:
        """Take no more connections and end the open ones."""
        self._loop.forget(self._listener)
        self._listener.close()
        for connection in tuple(self._open):
            connection.close()

    def _accept(self) -> None:
        try:
            stream, _ = self._listener.accept()
        except OSError:  # it went away again, or there are no descriptors left: let some be closed first
            self._loop.forget(self._listener)
            self._loop.at(time.monotonic() + 1.0, lambda: self._loop.watch(self._listener, self._accept))
            return
        if len(self._open) >= LIMIT_CONNECTIONS:
            stream.close()
            return
        stream.setblocking(False)
        self._open.add(_Connection(self._loop, stream, self._answer, self._open))

    def _sweep(self) -> None:
        for connection in tuple(self._open):
            if time.monotonic() - connection.used_s > IDLE_S:
                connection.close()


class _Connection:
    def __init__(self, loop: Loop, stream: socket.socket, answer: Answer, peers: set[_Connection]) -> None:
        self.used_s = time.monotonic()
        self._loop, self._stream, self._answer, self._peers = loop, stream, answer, peers
        self._received, self._pending, self._closing = bytearray(), bytearray(), False
        loop.watch(stream, self._serve)

    def close(self) -> None:
        self._loop.forget(self._stream)
        self._stream.close()
        self._peers.discard(self)

    def _serve(self) -> None:
        self.used_s = time.monotonic()
        try:
            if not self._receive():
                self.close()
                return
            self._reply()
            self._send()
        except OSError:
            self.close()

    def _receive(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            data = self._stream.recv(65536)
            self._received += data
            return bool(data) and len(self._received) + len(self._pending) <= LIMIT_BYTES
        return True

    def _reply(self) -> None:
        while not self._closing and (reply := self._answer(self._received)) is not None:
            self._pending += reply.data
            self._closing = reply.close

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._pending:
                del self._pending[: self._stream.send(self._pending)]
        if self._closing and not self._pending:
            self.close()
            return
        self._loop.watch(self._stream, self._serve, write=bool(self._pending))


def http_answer(pages: Callable[[str], str | None]) -> Answer:
    """Answer ``GET`` of a path with the text that *pages* has for it (404 when None); keeps connections open."""

    def answer(received: bytearray) -> Reply | None:
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return _http(431, "too long", close=True) if len(received) > 8192 else None
        head = bytes(received[:end]).split(b"\r\n")
        del received[: end + 4]
        words = head[0].split(b" ")
        fields = {line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip().lower() for line in head[1:]}
        bodied = b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
        close = bodied or words[-1] != b"HTTP/1.1" or fields.get(b"connection") == b"close"
        if len(words) != 3 or words[0] != b"GET":
            return _http(405, "only GET", close=True)
        text = pages(words[1].partition(b"?")[0].decode("ascii", "replace"))
        return _http(404, "not here", close=close) if text is None else _http(200, text, close=close)

    return answer


def _http(status: int, text: str, *, close: bool) -> Reply:
    reason = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large"}[status]
    body = text.encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return Reply(head.encode() + body, close)
