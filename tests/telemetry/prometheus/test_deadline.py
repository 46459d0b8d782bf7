"""A reply that never ends, a byte at a time: given up in time, head or body, and nobody else is hurt by it."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter, Request, Unreachable
from tasks.telemetry.prometheus.deadline import Deadline
from tests.prometheus.cutting_proxy import Answer, CuttingProxy, Trickle, always
from tests.prometheus.servers import Prometheus
from tests.telemetry.exporters import serving
from tests.telemetry.prometheus.test_adapter import ours, secured  # noqa: F401 -- a fixture

DEADLINE_S = 0.6


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server."""
    with Prometheus(tmp_path_factory.mktemp("server")) as started:
        yield started


def spent_s(adapter: DirectAdapter, deadline_s: float = DEADLINE_S) -> float:
    """How long a request took until it was given up for its time."""
    begun_s = time.monotonic()
    with pytest.raises(Unreachable, match=f"no whole reply came within {deadline_s:g} s"):
        b"".join(adapter.send(Request("/api/v1/status/flags", timeout_s=5.0, deadline_s=deadline_s)).pieces())
    return time.monotonic() - begun_s


@pytest.mark.parametrize("after_bytes", [0, 5, 60, 400, 2000])
def test_a_reply_that_trickles_is_given_up(server, after_bytes):
    """From its first byte on, in its head, in its body: no byte comes late, and yet the time is over."""
    with CuttingProxy(server.port, always(Trickle(after_bytes, every_s=0.05))) as proxy:
        adapter = DirectAdapter(Access(proxy.url))

        assert DEADLINE_S <= spent_s(adapter) < 2 * DEADLINE_S


def test_an_endless_body_is_given_up():
    """Fast, in chunks, without an end."""

    def answer(_, send):
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                send(b"4\r\nmore\r\n")
                time.sleep(0.01)
        except OSError:
            return False

    with serving(answer) as endless:
        assert spent_s(DirectAdapter(Access(f"http://127.0.0.1:{endless.port}"))) < 2 * DEADLINE_S


def test_a_reply_over_tls_that_trickles_is_given_up(ours, tmp_path):  # noqa: F811 -- a fixture
    """The connection is ended below the encryption."""

    def trickle(connection):
        connection.recv(1 << 16)
        for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000:
            connection.sendall(bytes([letter]))
            time.sleep(0.05)

    with secured(ours.server("127.0.0.1"), speak=trickle) as port:
        assert spent_s(DirectAdapter(Access(f"https://127.0.0.1:{port}", ca_file=str(ours.ca)))) < 2 * DEADLINE_S


def test_a_reply_in_time_leaves_its_connection_to_the_next(server):
    """A deadline that was lifted ends nothing: the connection is kept beyond it."""
    with CuttingProxy(server.port) as proxy:
        adapter = DirectAdapter(Access(proxy.url))
        for _ in range(3):
            assert b"".join(adapter.send(Request("/-/ready", deadline_s=0.2)).pieces())
            time.sleep(0.25)

        assert (proxy.requests, proxy.connections) == (3, 1)


def test_a_reply_that_is_given_up_does_not_disturb_the_next(server):
    """It comes over another connection."""
    with CuttingProxy(server.port, always(Trickle(60, every_s=0.05))) as proxy:
        adapter = DirectAdapter(Access(proxy.url))
        spent_s(adapter)
        proxy.plan = always(Answer(200, b"fine"))

        assert b"".join(adapter.send(Request("/x")).pieces()) == b"fine"


def test_no_watchman_is_left_behind(server):
    """Neither of replies that came, nor of those that were given up or thrown away."""
    before = threading.active_count()
    adapter = DirectAdapter(Access(server.url))
    for _ in range(20):
        b"".join(adapter.send(Request("/-/ready")).pieces())
    adapter.send(Request("/api/v1/status/flags")).close()
    with CuttingProxy(server.port, always(Answer(401))) as proxy, pytest.raises(Exception, match="401"):
        DirectAdapter(Access(proxy.url)).send(Request("/x"))
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)

    assert threading.active_count() <= before


def test_a_connection_that_comes_too_late_is_ended_at_once():
    """The time was over while it was opened."""
    one, other = socket.socketpair()
    with one, other:
        deadline = Deadline(0.0)
        deadline._timer.join()
        deadline.hold(one)

        assert other.recv(1) == b""
        deadline.lift()
        assert deadline.over
