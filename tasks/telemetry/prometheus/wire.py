"""
The little protobuf that remote read needs (``prompb/remote.proto`` and ``types.proto`` of Prometheus), read straight from the bytes.

There is no object a sample: a chunk's samples stay the bytes they are. Fields that are not known here are skipped as protobuf asks;
what breaks its rules, or ours, is a :class:`~tasks.telemetry.prometheus.errors.MalformedReply`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cramjam

from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.prometheus.errors import MalformedReply
from tasks.telemetry.prometheus.selectors import Matcher

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
_STREAMED_XOR_CHUNKS = 1
_MATCH_TYPES = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_METRIC_NAME = "__name__"
_XOR = 1

_USUAL_CHUNK = re.compile(
    rb"\x12[\x80-\xff]?[\x00-\x7f]"  # length of the chunk
    rb"\x08[\x80-\xff]{0,8}[\x00-\x7f]"  # min_time_ms
    rb"\x10[\x80-\xff]{0,8}[\x00-\x7f]"  # max_time_ms
    rb"\x18[\x01-\x7f]"  # encoding
    rb"\x22[\x80-\xff]?[\x00-\x7f]"  # length of the data
)
"""A chunk of a series as Prometheus writes it, up to its data. One match costs an eighth of going through its fields."""


class RawChunk(NamedTuple):  # a frozen dataclass takes three times as long to make, and there is one for every hundred samples
    """A chunk as the server keeps it; its first and last time are left to its samples to say."""

    encoding: int
    """Number of its ``chunkenc.Encoding``: 1 XOR, 2 histogram, 3 float histogram."""
    data: bytes
    first_ms: int = 0
    """Of a chunk that is not XOR, as the server says; the samples of the others say it themselves."""


@dataclass(frozen=True, slots=True)
class RawSeries:
    """A series, or a part of one that goes on in the next frame."""

    labels: Labels
    chunks: tuple[RawChunk, ...]
    """In order of their first times; they may overlap."""


def read_request(start_ms: int, end_ms: int, matchers: Sequence[Matcher]) -> bytes:
    """
    The body of ``POST /api/v1/read``: one query from *start_ms* to *end_ms*, both inclusive, compressed as a snappy block.

    Streamed chunks are the only kind of answer that it accepts: a server without them shows by the content type of its reply.
    """
    query = _number(1, start_ms) + _number(2, end_ms)
    for one in matchers:
        query += _field(3, _number(1, _MATCH_TYPES[one.op]) + _field(2, one.name.encode()) + _field(3, one.value.encode()))
    return bytes(cramjam.snappy.compress_raw(_field(1, query) + _number(2, _STREAMED_XOR_CHUNKS)))


def chunked_series(frame: bytes) -> list[RawSeries]:
    """
    The series of one ``ChunkedReadResponse``.

    Raises:
        MalformedReply: It is not one, it answers another query, or a series has no metric name or one label twice.
    """
    found: list[RawSeries] = []
    try:
        for number, kind, start, value in _fields(frame, 0, len(frame)):
            if number == 1:
                found.append(_series(frame, _inside(kind, start), value))
            elif number == 2 and _whole(kind, value) != 0:
                raise MalformedReply(f"a frame answers query {value}, and only query 0 was asked")
    except IndexError:
        raise MalformedReply("a protobuf message ends in the middle of a field") from None
    except UnicodeDecodeError as error:
        raise MalformedReply(f"a label is not UTF-8: {error}") from None
    return found


def _series(frame: bytes, start: int, end: int) -> RawSeries:
    labels: list[tuple[str, str]] = []
    chunks: list[RawChunk] = []
    at = start
    while (at := _usual_chunks(frame, at, end, chunks)) < end:
        number, kind, begin, value, at = _field_at(frame, at, end)
        if number == 2:
            chunks.append(_chunk(frame, _inside(kind, begin), value))
        elif number == 1:
            labels.append(_label(frame, _inside(kind, begin), value))
    return RawSeries(_checked(labels), tuple(chunks))


def _usual_chunks(frame: bytes, at: int, end: int, into: list[RawChunk]) -> int:
    """Take the chunks from *at* on as long as they are as Prometheus writes them; where something else begins, or *end*."""
    usual_chunk = _USUAL_CHUNK.match
    while usual := usual_chunk(frame, at, end):
        begin = usual.end()
        size, last, inside = frame[at + 1], frame[begin - 1], at + 2
        if size > 127:
            size, inside = size & 127 | frame[at + 2] << 7, at + 3
        before = frame[begin - 2]  # the field's tag, or the first byte of two
        stop, encoding = (begin + last, frame[begin - 3]) if before < 128 else (begin + (before & 127 | last << 7), frame[begin - 4])
        if stop != inside + size or stop > end:
            break
        data = frame[begin:stop]
        into.append(RawChunk(_XOR, data) if encoding == _XOR else RawChunk(encoding, data, _whole(_VARINT, _varint(frame, inside + 1)[0])))
        at = stop
    return at


def _checked(labels: list[tuple[str, str]]) -> Labels:
    labels.sort()
    names = dict(labels)
    if len(names) != len(labels):
        raise MalformedReply(f"a series has one label twice: {dict(labels)}")
    if not names.get(_METRIC_NAME) or "" in names:
        raise MalformedReply(f"a series without a metric name, or with a label without a name: {names}")
    return tuple(labels)


def _label(frame: bytes, start: int, end: int) -> tuple[str, str]:
    """Name and value. Where both lengths are below 128, and nothing else is there, they are cut out at once."""
    if end - start > 4:
        size, middle = frame[start + 1], start + 2 + frame[start + 1]
        short = size < 128 and middle + 2 <= end
        if short and (frame[start], frame[middle], middle + 2 + frame[middle + 1]) == (0x0A, 0x12, end):
            return frame[start + 2 : middle].decode(), frame[middle + 2 : end].decode()
    name = value = b""
    for number, kind, at, stop in _fields(frame, start, end):
        if number == 1:
            name = frame[_inside(kind, at) : stop]
        elif number == 2:
            value = frame[_inside(kind, at) : stop]
    return name.decode(), value.decode()


def _chunk(frame: bytes, start: int, end: int) -> RawChunk:
    encoding, data, first_ms = 0, b"", 0
    for number, kind, at, value in _fields(frame, start, end):
        if number == 4:
            data = frame[_inside(kind, at) : value]
        elif number == 3:
            encoding = _whole(kind, value)
        elif number == 1:
            first_ms = _whole(kind, value)
        elif number == 2:
            _whole(kind, value)
    return RawChunk(encoding, data) if encoding == _XOR else RawChunk(encoding, data, first_ms)


def _inside(kind: int, start: int) -> int:
    if kind != _BYTES:
        raise MalformedReply(f"a protobuf field has wire type {kind} in place of {_BYTES}")
    return start


def _whole(kind: int, value: int) -> int:
    """*value* as the int64 that it stands for."""
    if kind != _VARINT:
        raise MalformedReply(f"a protobuf field has wire type {kind} in place of {_VARINT}")
    return value - (value >> 63 << 64)


def _fields(frame: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """
    Number, wire type, start and value of each field of the message in ``frame[at:end]``.

    The value of a length-delimited field is where it ends; that of a skipped wire type means nothing.
    """
    while at < end:
        number, kind, start, value, at = _field_at(frame, at, end)
        yield number, kind, start, value


def _field_at(frame: bytes, at: int, end: int) -> tuple[int, int, int, int, int]:
    """The field at *at*, as above, and where the next one begins."""
    tag, at = _varint(frame, at)
    number, kind = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise MalformedReply(f"a protobuf field has the number {number}")
    start, value = at, 0
    if kind == _VARINT:
        value, at = _varint(frame, at)
    elif kind == _BYTES:
        size, start = _varint(frame, at)
        at = value = start + size
    else:
        at = _skipped(frame, at, number, kind)
    if at > end:
        raise MalformedReply("a protobuf field is longer than its message")
    return number, kind, start, value, at


def _varint(frame: bytes, at: int) -> tuple[int, int]:
    """A varint at *at*, and where it ends."""
    byte = frame[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while byte > 127:
        at += 1
        byte = frame[at]
        value |= (byte & 127) << shift
        shift += 7
        if value >> 64 or shift > 70:
            raise MalformedReply("a varint is longer than 64 bits")
    return value, at + 1


def _skipped(frame: bytes, at: int, number: int, kind: int) -> int:
    """Where the content of an unknown field of *kind* ends."""
    open_groups = []
    while True:
        if kind == _GROUP:
            open_groups.append(number)
        elif kind == _END_GROUP:
            if not open_groups or open_groups.pop() != number:
                raise MalformedReply("a protobuf group ends that was not begun")
        elif kind == _VARINT:
            at = _varint(frame, at)[1]
        elif kind == _BYTES:
            size, at = _varint(frame, at)
            at += size
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise MalformedReply(f"a protobuf field has the unknown wire type {kind}")
        if not open_groups:
            return at
        tag, at = _varint(frame, at)
        number, kind = tag >> 3, tag & 7


def _field(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _VARINT) + _encoded(value % (1 << 64))


def _encoded(value: int) -> bytes:
    """*value* as a varint."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
