"""Calls to a peer, against real sockets that behave in every way."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from tasks.shop.peers import PeerError, Peers
from tasks.shop.wire import Pool, WireError

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def _with(behaviour: Behaviour, act: Callable[[int], Awaitable[object]]) -> tuple[object, int]:
    """What *act* gives on a server with *behaviour*, and how many connections it made."""

    async def main() -> tuple[object, int]:
        made = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal made
            made += 1
            try:
                await behaviour(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            return await act(server.sockets[0].getsockname()[1]), made
        finally:
            server.close()

    return asyncio.run(main())


def _always(answer: bytes, *, then_close: bool = False) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if then_close:
                return

    return behave


def _get(times: int = 1, *, idle_s: float = 5.0) -> Callable[[int], Awaitable[list[tuple[int, bytes]]]]:
    async def act(port: int) -> list[tuple[int, bytes]]:
        pool = Pool("127.0.0.1", port, idle_s=idle_s, most=10)
        answers = [await pool.exchange("GET", "/", {}, b"") for _ in range(times)]
        await pool.close()
        return [(one.status, one.body) for one in answers]

    return act


def test_a_connection_is_kept():
    """Three requests, one connection."""
    assert _with(_always(OK), _get(3)) == ([(200, b"{}")] * 3, 1)


def test_an_idle_connection_is_not_used_again():
    """With an idle limit of 0 each request makes its own, so that it never meets a peer that is closing."""
    assert _with(_always(OK), _get(3, idle_s=-1.0))[1] == 3


def test_a_closed_connection_is_not_used_again():
    """A peer that closes after each answer costs a connection, not an error."""

    async def act(port: int) -> list[int]:
        pool = Pool("127.0.0.1", port, idle_s=5, most=10)
        statuses = []
        for _ in range(3):
            statuses.append((await pool.exchange("GET", "/", {}, b"")).status)
            while pool._free and not pool._free[0].reader.at_eof():  # what the kernel already knows has to arrive here
                await asyncio.sleep(0)
        return statuses

    assert _with(_always(OK, then_close=True), act) == ([200] * 3, 3)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", b"a"),
    ],
)
def test_ways_to_say_how_long_a_body_is(answer, body):
    """Chunks, the end of the connection, HTTP/1.0, and a word in between."""
    assert _with(_always(answer, then_close=True), _get())[0] == [(200, body)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 2x0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_an_error(answer):
    """Cut, malformed or oversized answers are told apart from answers."""

    async def act(port: int) -> str:
        try:
            return str(await _get()(port))
        except WireError:
            return "refused"

    assert _with(_always(answer, then_close=True), act)[0] == "refused"


@pytest.mark.parametrize("path", ["/a b", "/a\r\nx: y", "/\x00"])
def test_a_request_cannot_be_split(path):
    """Control characters and spaces in a path are refused before anything is sent."""

    async def act(port: int) -> None:
        await Pool("127.0.0.1", port, idle_s=5, most=1).exchange("GET", path, {}, b"")

    with pytest.raises(ValueError, match="control character"):
        _with(_always(OK), act)


def test_a_silent_peer_is_given_up(monkeypatch):
    """After the limit the caller gets its error, and the connection is not used again."""
    monkeypatch.setattr("tasks.shop.peers.TIMEOUT_S", 0.2)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def act(port: int) -> str:
        peers = Peers({"carts": f"http://127.0.0.1:{port}"})
        try:
            await peers.ask("carts", "GET", "/")
        except PeerError as error:
            return str(error)
        return "answered"

    started = time.monotonic()
    assert _with(silent, act)[0] == "carts: GET /: no answer within 0.2 s"
    assert time.monotonic() - started < 2


def test_more_calls_than_connections_wait():
    """Two connections at most, however many ask at once."""
    open_now: list[int] = [0, 0]

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now[0] += 1
        open_now[1] = max(open_now)
        try:
            await _always(OK)(reader, writer)
        finally:
            open_now[0] -= 1

    async def act(port: int) -> int:
        pool = Pool("127.0.0.1", port, idle_s=5, most=2)
        answers = await asyncio.gather(*(pool.exchange("GET", "/", {}, b"") for _ in range(20)))
        await pool.close()
        return sum(one.status == 200 for one in answers)

    assert _with(slow, act)[0] == 20
    assert open_now[1] <= 2
