"""The Prometheus of ``make cluster`` starts on loopback, scrapes, and gives raw samples away."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import pytest

from tasks.base.process import start_child, stop_group
from tests.live.artifacts import prometheus_binary

pytestmark = pytest.mark.live
STREAMED, SAMPLES = 1, 0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a Prometheus listens that scrapes itself every second, once it has its first sample."""
    program = prometheus_binary()
    if program is None:
        pytest.skip("no Prometheus is built; next: make cluster")
    folder = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    jobs = [{"job_name": "itself", "static_configs": [{"targets": [address]}]}]
    (folder / "prometheus.json").write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    argv = [
        str(program),
        f"--config.file={folder}/prometheus.json",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ]
    child = start_child(argv, output=folder / "log")
    try:
        eventually(lambda: query(address)["result"])
        yield address
    finally:
        stop_group(child, grace_s=5.0)


def test_it_is_the_version_of_the_recipe(address):
    """And says so itself."""
    assert asked(address, "/api/v1/status/buildinfo")["version"] == "3.16.0"


def test_it_scrapes(address):
    """Its own page, with success."""
    ((labels, value),) = ((one["metric"], one["value"][1]) for one in query(address)["result"])

    assert labels == {"__name__": "up", "instance": address, "job": "itself"}
    assert value == "1"


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [(STREAMED, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"), (SAMPLES, "application/x-protobuf")],
)
def test_it_gives_raw_samples_away(address, kind, content_type):
    """By remote read, as chunks and as samples: the series that was asked for, and no other."""
    now_ms = int(time.time() * 1000)
    selector = field(1, 0) + field(2, b"__name__") + field(3, b"up")
    wanted = field(1, field(1, now_ms - 60_000) + field(2, now_ms) + field(3, selector)) + field(2, kind)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Read-Version": "0.1.0"}
    body = bytes(cramjam.snappy.compress_raw(wanted))
    request = urllib.request.Request(f"http://{address}/api/v1/read", data=body, headers=headers)

    with urllib.request.urlopen(request, timeout=10) as reply:
        given = reply.read()

    if kind == SAMPLES:
        given = bytes(cramjam.snappy.decompress_raw(given))
    assert reply.headers["Content-Type"] == content_type
    assert field(1, b"__name__") + field(2, b"up") in given
    assert given.count(b"__name__") == 1


def varint(number: int) -> bytes:
    """A protobuf varint."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, value: int | bytes) -> bytes:
    """A protobuf field."""
    return varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value


def asked(address: str, path: str) -> dict[str, Any]:
    """The data of an answer."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as reply:
        answer = json.load(reply)
    assert answer["status"] == "success"
    return answer["data"]


def query(address: str) -> dict[str, Any]:
    """What is up, now."""
    return asked(address, "/api/v1/query?query=up")


def free_port() -> int:
    """A port of loopback that nobody has."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def eventually(check: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait until *check* is true; a refused connection is not yet."""
    until_s = time.monotonic() + within_s
    found = False
    while not found:
        with contextlib.suppress(OSError):
            found = bool(check())
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.02)
