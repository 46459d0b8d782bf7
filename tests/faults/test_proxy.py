# ruff: noqa: D102 -- handlers and shorthands of this file say what they do by name
"""The proxy passes everything on, does what its rule says, and leaks nothing; judged from both of its sides."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.faults.proxy import answer, read_gates
from tasks.faults.rule_socket import ProxyAbsent, ProxySilent, RuleSocket
from tasks.faults.rules import Rule
from tests.faults.small_shop import ROOT, free_port, until


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent, and how often this connection was used."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding"):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(body)

    def do_GET(self) -> None:
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.path == "/until-close":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 100_000)
            self.close_connection = True
        else:
            self.reply(self.path.encode())

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "500")
        self.end_headers()

    def reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Setup:
    """A proxy process before one echo service ``a``."""

    process: subprocess.Popen[bytes]
    rules: RuleSocket
    port: int
    upstream_port: int
    metrics_port: int
    server: ThreadingHTTPServer | None

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str = "/x") -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request("GET", path)
            found = connection.getresponse()
            return found.status, found.read()
        finally:
            connection.close()

    def rule(self, *, delay_ms: float = 0, error_ratio: float = 0, seconds: float = 60) -> None:
        self.rules.set("a", Rule("t01", delay_ms, error_ratio, time.monotonic() + seconds, time.time() + seconds))

    def status(self) -> dict[str, object]:
        return self.rules.services()["a"]

    def serve(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.upstream_port), Echo)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop_serving(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("proxy")
    port, upstream, metrics = free_port(), free_port(), free_port()
    services = [{"name": "a", "port": port, "upstream_port": upstream}]
    (folder / "proxy.json").write_text(json.dumps({"socket": str(folder / "proxy.sock"), "metrics_port": metrics, "services": services}))
    process = subprocess.Popen([sys.executable, "-m", "tasks.faults.proxy", str(folder / "proxy.json")], cwd=ROOT)
    setup = Setup(process, RuleSocket(folder / "proxy.sock"), port, upstream, metrics, None)
    until((folder / "proxy.sock").exists)
    yield setup
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def proxy(running: Setup) -> Iterator[Setup]:
    """The proxy with a fresh service behind it and no rule."""
    running.serve()
    yield running
    running.rules.clear("a")
    running.stop_serving()


def test_bodies_of_any_kind_pass_unchanged_over_one_connection(proxy: Setup):
    """Big, empty, chunked and headless messages follow each other on a kept connection."""
    connection, big = proxy.connect(), os.urandom(3_000_000)
    for body in (b"hello", big, b""):
        connection.request("POST", "/", body=body)
        assert connection.getresponse().read() == body
    connection.request("POST", "/", body=iter([b"a" * 10, b"b" * 70_000]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read() == b"a" * 10 + b"b" * 70_000
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/last")
    assert connection.getresponse().read() == b"/last"
    connection.close()


def test_pipelined_requests_are_answered_in_order(proxy: Setup):
    """An injected error never overtakes a real answer."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as line:
        line.sendall(b"".join(b"GET /n%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5)))
        data = b""
        while data.count(b"HTTP/1.1") < 5 or not data.endswith(b"/n4"):
            data += line.recv(65536)

    assert [data.index(b"/n%d" % number) for number in range(5)] == sorted(data.index(b"/n%d" % number) for number in range(5))


def test_a_caller_that_closes_its_sending_side_still_gets_its_answer(proxy: Setup):
    """Half-closed connections work."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as line:
        line.sendall(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        data = b""
        while part := line.recv(65536):
            data += part

    assert data.endswith(b"/half")


def test_an_answer_that_lasts_until_the_connection_closes_arrives_whole(proxy: Setup):
    """No length, no chunks: the end of the connection is the end of the answer."""
    assert proxy.get("/until-close") == (200, b"z" * 100_000)


def test_an_answer_that_is_cut_is_cut_for_the_caller(proxy: Setup):
    """Half an answer is never made to look whole."""
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        proxy.get("/cut")


def test_a_delay_holds_requests_for_as_long_as_it_says_and_counts_them(proxy: Setup):
    """The held time in the counters is the time that really passed."""
    before = proxy.status()
    proxy.rule(delay_ms=150)
    start = time.monotonic()
    assert proxy.get()[0] == 200
    took = time.monotonic() - start

    after = proxy.status()
    assert 0.15 <= took < 1.0
    assert after["delayed"] - before["delayed"] == 1  # type: ignore[operator]
    assert 0.15 <= after["held_s"] - before["held_s"] <= took  # type: ignore[operator]


def test_clearing_a_rule_lets_held_requests_go(proxy: Setup):
    """Nobody waits for a delay that was taken back."""
    proxy.rule(delay_ms=30_000)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(proxy.get()[0]))
    thread.start()
    until(lambda: proxy.status()["requests"] and proxy.status()["open"] == 1)  # type: ignore[arg-type, return-value]
    time.sleep(0.05)
    proxy.rules.clear("a", "another-fault")
    assert proxy.status()["rule"] is not None
    proxy.rules.clear("a", "t01")
    thread.join(3)

    assert results == [200]


def test_errors_are_answered_without_the_service(proxy: Setup):
    """At full strength every request gets a 500 although the service is gone; its body is read and the connection kept."""
    proxy.stop_serving()
    proxy.rule(error_ratio=1.0)
    connection = proxy.connect()
    for body in (b"x" * 300_000, b""):
        connection.request("POST", "/", body=body)
        found = connection.getresponse()
        assert (found.status, len(found.read())) == (500, 22)
    connection.request("HEAD", "/")
    found = connection.getresponse()
    assert (found.status, found.read()) == (500, b"")
    connection.close()


def test_a_share_of_errors_is_a_share(proxy: Setup):
    """About 30 % of 400 requests fail at an intensity of 0.3."""
    proxy.rule(error_ratio=0.3)
    connection, failed = proxy.connect(), 0
    for _ in range(400):
        connection.request("GET", "/x")
        found = connection.getresponse()
        found.read()
        failed += found.status == 500
    connection.close()

    assert 80 < failed < 165


def test_a_rule_ends_by_itself(proxy: Setup):
    """Nobody has to clear it, and a rule whose end has passed by either clock is refused."""
    proxy.rule(error_ratio=1.0, seconds=0.3)
    assert proxy.get()[0] == 500
    assert until(lambda: proxy.get()[0] == 200, 3) < 1.0
    assert proxy.status()["rule"] is None
    for mono, wall in ((-1.0, 60.0), (60.0, -1.0)):
        with pytest.raises(ProxySilent, match="had ended"):
            proxy.rules.set("a", Rule("t01", 0, 1, time.monotonic() + mono, time.time() + wall))
    assert proxy.get()[0] == 200


def test_a_service_that_is_down_is_a_502_at_once_and_back_without_a_trace(proxy: Setup):
    """Callers see an error, and the same connection works again when the service is back."""
    connection = proxy.connect()
    connection.request("GET", "/one")
    assert connection.getresponse().read() == b"/one"
    proxy.stop_serving()
    start = time.monotonic()
    assert proxy.get()[0] == 502
    assert time.monotonic() - start < 1.0
    proxy.serve()
    assert proxy.get() == (200, b"/x")
    connection.close()


def test_a_stopped_service_hangs_its_callers_and_nothing_leaks(proxy: Setup, tmp_path: Path):
    """Callers time out as they would without a proxy; when the service goes on, every connection is gone again."""
    proxy.stop_serving()
    service = subprocess.Popen([sys.executable, "-m", "http.server", str(proxy.upstream_port), "--bind", "127.0.0.1"], cwd=tmp_path)
    try:
        until(lambda: proxy.get("/")[0] == 200)
        os.kill(service.pid, signal.SIGSTOP)
        for _ in range(20):
            line = socket.create_connection(("127.0.0.1", proxy.port), timeout=0.05)
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):
                line.recv(10)
            line.close()
        os.kill(service.pid, signal.SIGCONT)
        until(lambda: proxy.status()["open"] == 0)
        until(lambda: len(connected(proxy.process.pid)) <= 3)
        assert proxy.get("/")[0] == 200
    finally:
        service.kill()
        service.wait()


def connected(pid: int) -> list[str]:
    """Sockets of *pid* beyond its listeners, its event loop and its unix socket."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith("socket:")][6:]


def test_slow_readers_do_not_fill_the_proxys_memory(proxy: Setup):
    """An answer of 60 MB to a caller that does not read stays with the service."""

    def rss() -> int:
        return int(Path(f"/proc/{proxy.process.pid}/statm").read_text().split()[1]) * 4096

    body = b"y" * 60_000_000
    before = rss()
    with socket.create_connection(("127.0.0.1", proxy.port)) as line:
        line.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
        line.sendall(body)
        time.sleep(0.3)
        assert rss() - before < 12_000_000
        got = 0
        while got < len(body):
            got += len(line.recv(1 << 20))


def test_counters_are_scraped_and_the_socket_is_private(proxy: Setup):
    """``/metrics`` names the counters by service; only this user may set rules."""
    proxy.get()
    text = urllib.request.urlopen(f"http://127.0.0.1:{proxy.metrics_port}/metrics", timeout=5).read().decode()

    assert f'proxy_requests_total{{service="a"}} {proxy.status()["requests"]}' in text
    assert 'proxy_held_seconds_total{service="a"}' in text
    assert stat.S_IMODE(proxy.rules.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "asked", [{"do": "set", "service": "b", "rule": {}}, {"do": "explode"}, {}, {"do": "clear", "service": "b"}, {"do": "clear"}]
)
def test_a_wrong_request_changes_nothing(asked: dict[str, object]):
    """It is refused with a sentence."""
    gates = read_gates({"services": [{"name": "a", "port": 1, "upstream_port": 2}]})
    with pytest.raises(ValueError, match=r"know|rule|service"):
        answer(gates, asked)


@pytest.mark.parametrize("wrong", [{"delay_ms": -1}, {"delay_ms": 1e9}, {"error_ratio": 1.1}, {"error_ratio": "x"}, {"until_mono_s": None}])
def test_a_rule_out_of_range_is_refused(wrong: dict[str, object]):
    """Delay, ratio and times are numbers in range."""
    right = {"fault": "t01", "delay_ms": 1, "error_ratio": 0, "until_mono_s": 1, "until_wall_s": 1}
    with pytest.raises(ValueError, match=r"."):
        Rule.from_json({**right, **wrong})


def test_only_loopback_and_no_port_twice():
    """A proxy that would listen for others, or twice, is not started."""
    one = {"name": "a", "port": 1, "upstream_port": 2}
    for config in ({"host": "0.0.0.0", "services": [one]}, {"services": [one, {**one, "name": "b"}]}, {"services": [one, one]}):
        with pytest.raises(ValueError, match=r"loopback|share"):
            read_gates(config)


def test_without_a_proxy_the_socket_says_so(tmp_path: Path):
    """Nobody there is another answer than silence."""
    with pytest.raises(ProxyAbsent):
        RuleSocket(tmp_path / "none.sock").services()
