"""The proxy's side towards a service: one connection for one caller's connection."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from tasks.faults.framing import Framer, Unframed

MOST_KEPT = 64 * 1024


class Caller(Protocol):
    """What a connection to the service needs of the caller's connection."""

    transport: asyncio.Transport
    raw: bool
    head_only: bool

    def from_upstream(self, data: bytes, *, complete: bool) -> None:
        """Bytes of the answer; *complete* when it ended."""
        ...

    def upstream_gone(self, upstream: Upstream, *, clean: bool) -> None:
        """The connection ended; *clean* when no answer was cut off."""
        ...

    def pause(self, reason: str) -> None:
        """Send no more for now."""
        ...

    def resume(self, reason: str) -> None:
        """Send on."""
        ...


class Upstream(asyncio.Protocol):
    """The connection to the service that belongs to one client."""

    def __init__(self, client: Caller, host: str, port: int) -> None:
        self.client = client
        self.host, self.port = host, port
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.framer = Framer(answers=True)
        self.opening: asyncio.Task[None] | None = None
        self.dropped = False

    def open(self) -> None:
        """Begin to connect; what is sent meanwhile waits."""
        self.opening = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, self.host, self.port)
        except OSError:
            self.client.upstream_gone(self, clean=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited, unless the caller has gone meanwhile."""
        self.transport = cast(asyncio.Transport, transport)
        if self.dropped:
            self.transport.abort()
            return
        self.transport.writelines(self.waiting)
        self.waiting = []
        self.client.resume("service")

    def send(self, data: bytes) -> None:
        """Write *data*, or keep it until the connection is there."""
        if self.transport is None:
            self.waiting.append(data)
            if sum(map(len, self.waiting)) > MOST_KEPT:
                self.client.pause("service")
        else:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Hand the answer on, and say where it ends."""
        client = self.client
        if self.dropped or client.raw:
            client.transport.write(data)
            return
        self.framer.bodyless = client.head_only
        try:
            pieces = self.framer.feed(data)
        except Unframed:
            client.raw = True
            client.transport.write(self.framer.rest())
            return
        for piece in pieces:
            interim = piece.head is not None and piece.head[9:10] == b"1"
            if interim and piece.head is not None and piece.head[9:12] == b"101":
                client.raw = True
            client.from_upstream(piece.data, complete=piece.ends and not interim)

    def eof_received(self) -> bool:
        """Close on our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the caller's side."""
        if not self.dropped:
            self.client.upstream_gone(self, clean=exc is None and self.framer.until_close)

    def drop(self) -> None:
        """The client is gone: end the connection and whatever is still opening it."""
        self.dropped = True
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def pause_reading(self) -> None:
        """Read no more of the answer: the caller is slow."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The service is slow: take no more from the caller."""
        self.client.pause("service")

    def resume_writing(self) -> None:
        """The service has caught up."""
        self.client.resume("service")
