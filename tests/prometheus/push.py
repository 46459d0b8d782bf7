"""
Samples pushed into a running server by remote write, at once and bit by bit: stale markers and native histograms too.

They stand in the server's head, not in blocks; those of native histograms need ``--enable-feature=native-histograms``.
"""

from __future__ import annotations

import struct
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence

import cramjam

from tasks.telemetry.prometheus.batch import Labels
from tests.prometheus.history import Course

PART_MS = 1_800_000
"""A request's span of time: a head takes nothing that is an hour older than its newest sample."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def push(url: str, courses: Sequence[Course]) -> None:
    """
    Write *courses* into the server at *url*, the older samples of all of them first.

    Raises:
        OSError: It did not take them; the message has its words.
    """
    filled = [course for course in courses if len(course.time_ms)]
    first = min(int(course.time_ms[0]) for course in filled)
    last = max(int(course.time_ms[-1]) for course in filled)
    for start_ms in range(first, last + 1, PART_MS):
        parts = [course.between(start_ms, start_ms + PART_MS - 1) for course in filled]
        _send(url, (_series(part.labels, _samples(part)) for part in parts if len(part.time_ms)))


def push_histograms(url: str, labels: Mapping[str, str], time_ms: Iterable[int]) -> None:
    """
    Write a native histogram at each of *time_ms*; its count grows by one with each.

    Raises:
        OSError: The server did not take them.
    """
    samples = b"".join(_field(4, _histogram(count, time)) for count, time in enumerate(time_ms, start=3))
    _send(url, [_series(tuple(sorted(labels.items())), samples)])


def _send(url: str, series: Iterable[bytes]) -> None:
    body = b"".join(_field(1, one) for one in series)
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", data=bytes(cramjam.snappy.compress_raw(body)), headers=headers, method="POST")
    try:
        with _OPENER.open(request, timeout=30):
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise OSError(f"status {error.code}: {error.read().decode(errors='replace')[:500]}") from error


def _series(labels: Labels, samples: bytes) -> bytes:
    names = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels)
    return names + samples


def _samples(course: Course) -> bytes:
    pairs = zip(course.time_ms.tolist(), course.value.view("<u8").tolist(), strict=True)
    return b"".join(_field(2, b"\x09" + struct.pack("<Q", bits) + b"\x10" + _varint(time)) for time, bits in pairs)


def _histogram(count: int, time_ms: int) -> bytes:
    """*count* observations: two in a bucket, the others in the next one; resolution schema 0, nothing near zero."""
    span = _field(11, b"\x08" + _varint(0) + b"\x10" + _varint(2))
    deltas = _field(12, _varint(_zigzag(2)) + _varint(_zigzag(count - 4)))
    zero = b"\x29" + struct.pack("<d", 1e-128)
    return b"\x08" + _varint(count) + b"\x19" + struct.pack("<d", 2.5 * count) + zero + span + deltas + b"\x78" + _varint(time_ms)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    raw = bytearray()
    while value > 127:
        raw.append(value & 127 | 128)
        value >>= 7
    raw.append(value)
    return bytes(raw)
