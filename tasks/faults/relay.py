"""
One listener of the fault proxy: HTTP/1.1 in, the same bytes out, and a rule applied at the start of each request.

A client connection owns at most one connection to the service, opened when a request needs it. Requests are passed on one
at a time, so that an injected answer never overtakes a real one. Nothing is answered in the service's place but injected
errors and, when it cannot be reached or breaks off before its first byte, a 502.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

from tasks.faults.framing import Framer, Piece, Unframed
from tasks.faults.rules import Counters, Rule
from tasks.faults.upstream import MOST_KEPT, Upstream

PATIENCE_AFTER_EOF_S = 60.0
Way = Literal["idle", "forward", "error", "unreachable"]


@dataclass(slots=True)
class Gate:
    """One service behind the proxy: where it listens, the rule in force, and what went through."""

    name: str
    host: str
    port: int
    draw: Callable[[], float] = random.random
    """Uniform numbers in [0, 1): which requests get an error."""
    rule: Rule | None = None
    counters: Counters = field(default_factory=Counters)
    held: set[Client] = field(default_factory=set)
    """Connections whose request is being held; let go when the rule is cleared."""
    clients: set[Client] = field(default_factory=set)

    def active(self) -> Rule | None:
        """The rule, when it still holds; an expired one is forgotten."""
        if self.rule is not None and not self.rule.holds(time.monotonic(), time.time()):
            self.rule = None
        return self.rule

    def clear(self, fault: str | None = None) -> None:
        """Forget the rule (only if it belongs to *fault*, when one is named) and let held requests go."""
        if self.rule is None or fault in (None, self.rule.fault):
            self.rule = None
            for client in tuple(self.held):
                client.let_go()


class Client(asyncio.Protocol):
    """A caller's connection."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.transport: asyncio.Transport
        self.upstream: Upstream | None = None
        self.framer = Framer()
        self.raw = False
        self.pending: deque[Piece] = deque()
        self.kept = 0
        self.way: Way = "idle"
        self.answered = True  # the answer to the current request is complete
        self.began = False  # its first byte was sent
        self.head_only = False
        self.since = 0.0
        self.hold: asyncio.TimerHandle | None = None
        self.ended = False  # the caller sent its end of file

    # -- from the caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.gate.clients.add(self)
        self.gate.counters.open += 1

    def data_received(self, data: bytes) -> None:
        """Cut what the caller sent into messages, and deal with them."""
        if self.raw:
            self.to_upstream(data)
            return
        try:
            pieces = self.framer.feed(data)
        except Unframed:
            self.raw = True
            pieces = [Piece(self.framer.rest())]
        for piece in pieces:
            self.pending.append(piece)
            self.kept += len(piece.data)
        self.pump()

    def pump(self) -> None:
        """Deal with what the caller sent, as far as the current request, a hold and the service allow."""
        while self.pending and self.hold is None:
            piece = self.pending[0]
            if piece.head is not None and not self._next_request(piece.head):
                break
            self.pending.popleft()
            self.kept -= len(piece.data)
            if self.way == "forward" or self.raw:
                self.to_upstream(piece.data)
            if piece.ends:
                self._request_complete()
        self._bound()

    def _next_request(self, head: bytes) -> bool:
        """Whether the request that starts with *head* may go on now; decides its way once."""
        if self.way == "idle":
            if not self.answered:
                return False
            self._begin(head)
        return self.hold is None

    def _begin(self, head: bytes) -> None:
        counters, rule = self.gate.counters, self.gate.active()
        counters.requests += 1
        self.since = time.monotonic()
        self.answered = self.began = False
        self.head_only = head.startswith(b"HEAD ")
        self.way = "forward"
        if rule is None:
            return
        if rule.error_ratio and self.gate.draw() < rule.error_ratio:
            self.way = "error"
            if b"100-continue" in head.lower():
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if rule.delay_ms:
            self.hold = asyncio.get_running_loop().call_later(rule.delay_ms / 1000, self.let_go)
            self.gate.held.add(self)

    def let_go(self) -> None:
        """End the hold of the current request and go on."""
        if self.hold is None:
            return
        self.hold.cancel()
        self.hold = None
        self.gate.held.discard(self)
        self.gate.counters.delayed += 1
        self.gate.counters.held_s += time.monotonic() - self.since
        self.pump()

    def _request_complete(self) -> None:
        if self.way == "error":
            self.gate.counters.errors_injected += 1
            self._answer_for_service(b"500 Internal Server Error")
        elif self.way == "unreachable" and not self.began:
            self._answer_for_service(b"502 Bad Gateway")
        self.way = "idle"
        if self.answered:
            self._between_requests()

    def _answer_for_service(self, status: bytes) -> None:
        body = b"" if self.head_only else status[4:] + b"\n"
        head = b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (status, len(status) - 3)
        self.began = self.answered = True
        self.transport.write(head + body)

    # -- from the service

    def to_upstream(self, data: bytes) -> None:
        """Pass *data* on, over a new connection when there is none."""
        if self.upstream is None:
            self.upstream = Upstream(self, self.gate.host, self.gate.port)
            self.upstream.open()
        self.upstream.send(data)

    def from_upstream(self, data: bytes, *, complete: bool) -> None:
        """Bytes of the service's answer; *complete* when it ended."""
        if not self.began:
            self.began = True
            self.gate.counters.answered_s += time.monotonic() - self.since
        self.transport.write(data)
        if complete:
            self.answer_complete()

    def answer_complete(self) -> None:
        """The service has answered the current request."""
        self.answered = True
        if self.way == "idle":
            self._between_requests()

    def upstream_gone(self, upstream: Upstream, *, clean: bool) -> None:
        """The connection to the service ended; *clean* when no answer was cut off."""
        if upstream is not self.upstream:
            return
        self.upstream = None
        if self.raw:
            self.transport.close()
        elif not self.answered and clean:
            self.answered = True
            self.transport.close()
        elif not self.answered:
            self.gate.counters.upstream_failures += 1
            if self.began:
                self.transport.abort()  # half an answer cannot be repaired; the caller sees the cut
            elif self.way == "idle":
                self._answer_for_service(b"502 Bad Gateway")
                self._between_requests()
            else:
                self.way = "unreachable"
                self.resume("service")
                self.pump()

    # -- the life of the connection

    def _between_requests(self) -> None:
        if self.ended and not self.pending:
            self.transport.close()
        elif self.pending and self.hold is None:
            asyncio.get_running_loop().call_soon(self.pump)

    def _bound(self) -> None:
        if self.kept > MOST_KEPT:
            self.pause("kept")
        else:
            self.resume("kept")

    def __hash__(self) -> int:
        return id(self)

    _reasons: frozenset[str] = frozenset()

    def pause(self, reason: str) -> None:
        """Read no more from the caller until every reason to pause is gone."""
        if not self._reasons and not self.transport.is_closing():
            self.transport.pause_reading()
        self._reasons |= {reason}

    def resume(self, reason: str) -> None:
        """Drop one reason to pause."""
        if reason in self._reasons:
            self._reasons -= {reason}
            if not self._reasons and not self.transport.is_closing():
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The caller is slow: read no more from the service."""
        if self.upstream is not None:
            self.upstream.pause_reading()

    def resume_writing(self) -> None:
        """The caller has caught up."""
        if self.upstream is not None:
            self.upstream.resume_reading()

    def eof_received(self) -> bool:
        """A caller that sends no more still gets its answer, within a minute."""
        self.ended = True
        if (self.answered and not self.pending) or self.raw:
            return False
        asyncio.get_running_loop().call_later(PATIENCE_AFTER_EOF_S, self.transport.abort)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """The caller is gone: let go of everything that belonged to it."""
        self.gate.clients.discard(self)
        self.gate.held.discard(self)
        self.gate.counters.open -= 1
        self.pending.clear()
        if self.hold is not None:
            self.hold.cancel()
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            upstream.drop()
