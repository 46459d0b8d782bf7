"""GET over a kept connection: plain HTTP/1.1, no redirects, bounded in length; the caller bounds the time."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Self

from tasks.telemetry.targets import Address

_HEAD_LIMIT = 64 << 10
_PIECE_BYTES = 1 << 16
ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


class FetchError(Exception):
    """There is no usable reply; the message says why."""

    doubtful = False
    """Whether it may be the way there that failed, and not the target."""


class NotConnected(FetchError):
    """Nobody listens, the peer is not who it should be, or its certificate is not trusted."""


class NotOk(FetchError):
    """A whole reply of another status than 200."""

    def __init__(self, status: int, reply: Reply) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Security:
    """How a server over TLS is met."""

    context: ssl.SSLContext
    """Who is trusted, and as whom we come."""
    name: str | None = None
    """Name in its certificate, where it is not the host."""
    proxy: Address | None = None
    """An HTTP proxy on the way."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: dict[str, str]
    keep: bool

    @property
    def chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "identity").lower() == "chunked"


class Connection:
    """An open connection to one server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self._reader = reader
        self._writer = writer
        self._authority = authority
        self.reusable = True
        self.answered = False
        """Whether a byte of the reply to the last request has come."""

    @classmethod
    async def open(cls, address: Address, security: Security | None = None) -> Self:
        """
        Connect.

        Args:
            address: Where to; its path does not matter here.
            security: For https; None: the system's authorities, and we come as nobody.

        Raises:
            NotConnected: Nobody listens, a loopback name led to another machine, or the certificate is not trusted.
        """
        secured = None
        if address.scheme == "https":
            secured = security or Security(ssl.create_default_context())
        try:
            reader, writer = await _connected(address, secured)
        except asyncio.IncompleteReadError as error:
            raise NotConnected("cannot connect: the proxy hung up") from error
        except (OSError, asyncio.LimitOverrunError) as error:
            raise NotConnected(f"cannot connect: {getattr(error, 'strerror', None) or error}") from error
        peer = str(writer.get_extra_info("peername")[0])
        if address.loopback and not ipaddress.ip_address(peer).is_loopback:
            writer.close()
            raise NotConnected(f"{address.host} led to {peer}, which is not this machine")
        return cls(reader, writer, address.authority)

    def close(self) -> None:
        """Drop the connection at once."""
        self.reusable = False
        self._writer.transport.abort()

    async def get(self, path: str, limit_bytes: int, headers: Mapping[str, str] | None = None) -> Reply:
        """
        Ask for *path*, and read the whole reply.

        Raises:
            NotOk: Not 200; a redirect is not followed.
            FetchError: Malformed, cut off, or longer than *limit_bytes*.
        """
        head = await self._asked(path, headers or {})
        try:
            body = await self._body(head, limit_bytes)
        except asyncio.IncompleteReadError as error:
            raise FetchError("the reply was cut off") from error
        except (asyncio.LimitOverrunError, OSError) as error:
            raise FetchError(f"no reply: {error}") from error
        if head.headers.get("content-encoding", "identity") != "identity":
            raise FetchError("the reply is compressed, which was not asked for")
        self.reusable = head.keep
        reply = Reply(head.headers.get("content-type", ""), body)
        if head.status != 200:
            raise NotOk(head.status, reply)
        return reply

    async def lines(self, path: str, limit_bytes: int, headers: Mapping[str, str] | None = None) -> AsyncGenerator[bytes]:
        """
        Ask for *path*, and give each line of the reply as it comes, without its end.

        Raises:
            NotOk: Not 200.
            FetchError: Malformed, cut off, or a line is longer than *limit_bytes*.
        """
        head = await self._asked(path, headers or {})
        try:
            if head.status != 200:
                raise NotOk(head.status, Reply(head.headers.get("content-type", ""), await self._body(head, limit_bytes)))
            rest = bytearray()
            async for piece in self._pieces(head, limit_bytes):
                rest += piece
                *whole, last = rest.split(b"\n")
                for line in whole:
                    yield bytes(line)
                rest = bytearray(last)
                if len(rest) > limit_bytes:
                    raise FetchError(f"a line of more than {limit_bytes} bytes")
        except asyncio.IncompleteReadError as error:
            raise FetchError("the reply was cut off") from error
        except (asyncio.LimitOverrunError, OSError) as error:
            raise FetchError(f"no reply: {error}") from error
        self.reusable = head.keep

    async def _asked(self, path: str, headers: Mapping[str, str]) -> _Head:
        """Send a request and read the head of its reply."""
        self.reusable, self.answered = False, False
        told = {"Host": self._authority, "User-Agent": "tidegauge", "Accept": ACCEPT, **headers}
        lines = (f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", "")
        try:
            self._writer.write("\r\n".join(lines).encode())
            raw = await self._reader.readuntil(b"\r\n\r\n")
            self.answered = True
        except asyncio.IncompleteReadError as error:
            self.answered = bool(error.partial)
            raise FetchError("the reply was cut off") from error
        except (asyncio.LimitOverrunError, OSError) as error:
            raise FetchError(f"no reply: {error}") from error
        return _parsed(raw)

    async def _body(self, head: _Head, limit_bytes: int) -> bytes:
        body = bytearray()
        async for piece in self._pieces(head, limit_bytes):
            body += piece
            if len(body) > limit_bytes:
                raise FetchError(f"a reply of more than {limit_bytes} bytes")
        return bytes(body)

    async def _pieces(self, head: _Head, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body in pieces, as it comes; a piece that is announced as longer than *limit_bytes* is not read."""
        length = head.headers.get("content-length")
        if head.chunked:
            async for piece in self._chunks(limit_bytes):
                yield piece
        elif length is None:
            while piece := await self._reader.read(_PIECE_BYTES):
                yield piece
        elif not (length.isascii() and length.isdigit()) or int(length) > limit_bytes:
            raise FetchError(f"a reply of {length[:20]} bytes; at most {limit_bytes} are read")
        else:
            yield await self._reader.readexactly(int(length))

    async def _chunks(self, limit_bytes: int) -> AsyncIterator[bytes]:
        while True:
            line = (await self._reader.readuntil(b"\r\n")).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError as error:
                raise FetchError("a malformed chunk") from error
            if size < 0 or size > limit_bytes:
                raise FetchError(f"a reply of more than {limit_bytes} bytes")
            if size == 0:
                while await self._reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)


async def _connected(address: Address, security: Security | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = None if security is None else security.context
    name = None if security is None else security.name or address.host
    if security is None or security.proxy is None:
        return await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name, limit=_HEAD_LIMIT)
    reader, writer = await asyncio.open_connection(security.proxy.host, security.proxy.port, limit=_HEAD_LIMIT)
    writer.write(f"CONNECT {address.authority} HTTP/1.1\r\nHost: {address.authority}\r\n\r\n".encode())
    said = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode("latin-1")
    if said.split(" ")[1:2] != ["200"]:
        writer.close()
        raise OSError(f"the proxy says {said[:80]!r}")
    await writer.start_tls(security.context, server_hostname=name)
    return reader, writer


def _parsed(raw: bytes) -> _Head:
    first, *rest = raw.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status[:3].isdigit():
        raise FetchError(f"not HTTP: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    told = headers.get("connection", "").lower()
    framed = "content-length" in headers or "transfer-encoding" in headers
    keep = framed and ("keep-alive" in told if version == "HTTP/1.0" else "close" not in told)
    return _Head(int(status[:3]), headers, keep)
