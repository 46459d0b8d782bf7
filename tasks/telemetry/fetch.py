"""One GET over a kept connection: plain HTTP/1.1, no redirects, bounded in length; the caller bounds the time."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from typing import Self

from tasks.telemetry.targets import Address

_HEAD_LIMIT = 64 << 10
ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


class FetchError(Exception):
    """There is no usable reply; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply of status 200."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: dict[str, str]
    keep: bool


class Connection:
    """An open connection to one address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request
        self.reusable = True
        self.answered = False
        """Whether a byte of the reply to the last request has come."""

    @classmethod
    async def open(cls, address: Address) -> Self:
        """
        Connect.

        Raises:
            FetchError: Nobody listens, or a loopback name led to another machine.
        """
        context = ssl.create_default_context() if address.scheme == "https" else None
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context, limit=_HEAD_LIMIT)
        except OSError as error:
            raise FetchError(f"cannot connect: {error.strerror or error}") from error
        peer = str(writer.get_extra_info("peername")[0])
        if address.loopback and not ipaddress.ip_address(peer).is_loopback:
            writer.close()
            raise FetchError(f"{address.host} led to {peer}, which is not this machine")
        lines = (f"GET {address.path} HTTP/1.1", f"Host: {address.authority}", "User-Agent: tidegauge", f"Accept: {ACCEPT}", "", "")
        return cls(reader, writer, "\r\n".join(lines).encode())

    def close(self) -> None:
        """Drop the connection at once."""
        self.reusable = False
        self._writer.transport.abort()

    async def get(self, limit_bytes: int) -> Reply:
        """
        Ask, and read the whole reply.

        Raises:
            FetchError: Not 200 (a redirect is not followed), malformed, cut off, or longer than *limit_bytes*.
        """
        self.reusable, self.answered = False, False
        try:
            self._writer.write(self._request)
            raw = await self._reader.readuntil(b"\r\n\r\n")
            self.answered = True
            head = _parsed(raw)
            body = await self._body(head, limit_bytes)
        except asyncio.IncompleteReadError as error:
            self.answered = self.answered or bool(error.partial)
            raise FetchError("the reply was cut off") from error
        except (asyncio.LimitOverrunError, OSError) as error:
            raise FetchError(f"no reply: {error}") from error
        if head.status != 200:
            raise FetchError(f"status {head.status}")
        if head.headers.get("content-encoding", "identity") != "identity":
            raise FetchError("the reply is compressed, which was not asked for")
        self.reusable = head.keep
        return Reply(head.headers.get("content-type", ""), body)

    async def _body(self, head: _Head, limit_bytes: int) -> bytes:
        if head.headers.get("transfer-encoding", "identity").lower() == "chunked":
            return await self._chunked(limit_bytes)
        length = head.headers.get("content-length")
        if length is None:
            return await self._rest(limit_bytes)
        if not (length.isascii() and length.isdigit()) or int(length) > limit_bytes:
            raise FetchError(f"a reply of {length[:20]} bytes; at most {limit_bytes} are read")
        return await self._reader.readexactly(int(length))

    async def _chunked(self, limit_bytes: int) -> bytes:
        body = bytearray()
        while True:
            line = (await self._reader.readuntil(b"\r\n")).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError as error:
                raise FetchError("a malformed chunk") from error
            if size < 0 or len(body) + size > limit_bytes:
                raise FetchError(f"a reply of more than {limit_bytes} bytes")
            if size == 0:
                while await self._reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return bytes(body)
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)

    async def _rest(self, limit_bytes: int) -> bytes:
        body = bytearray()
        while piece := await self._reader.read(1 << 16):
            body += piece
            if len(body) > limit_bytes:
                raise FetchError(f"a reply of more than {limit_bytes} bytes")
        return bytes(body)


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
