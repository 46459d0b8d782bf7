"""
The framing of a streamed remote read, as Prometheus writes it (``storage/remote/chunked.go``).

A frame is the length of its data as an unsigned varint, the CRC-32C (Castagnoli) of the data in 4 bytes, big-endian, and the data. Nothing
marks the end of a stream: that none is missing behind the last frame is for HTTP to say. A server that fails in the middle writes its
error as text behind the frames; that is no frame either, and the error raised here quotes it.

The CRC is that of ``google_crc32c``, a C extension; where its wheel has none it computes the same in Python, some hundred times slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import google_crc32c

from tasks.telemetry.prometheus.errors import MalformedReply

LIMIT_BYTES = 50_000_000
"""Longest frame that Prometheus' own client takes; its server makes them of about 1 MiB."""

_CRC_BYTES = 4
_LONGEST_VARINT = 10


def frames(pieces: Iterable[bytes], limit_bytes: int = LIMIT_BYTES) -> Iterator[bytes]:
    """
    The data of each frame of a stream that arrives in *pieces*, cut anywhere.

    Raises:
        MalformedReply: A frame is damaged, empty, longer than *limit_bytes*, or cut off by the end of the stream.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        at = 0
        while (place := _place(held, at, limit_bytes)) is not None and place.stop <= len(held):
            at = place.stop
            yield _data(held, place)
        del held[:at]
    if held:
        raise MalformedReply(f"the stream ends in the middle of a frame: {_quoted(held, 0)}")


def _place(held: bytearray, at: int, limit_bytes: int) -> slice | None:
    """Where the data of the frame at *at* are, or will be; None while its length has not come."""
    size = 0
    for index, byte in enumerate(held[at : at + _LONGEST_VARINT]):
        size |= (byte & 127) << 7 * index
        if byte < 128:
            if not 0 < size <= limit_bytes:
                raise MalformedReply(f"a frame of {size} bytes, where 1 to {limit_bytes} are allowed: {_quoted(held, at)}")
            start = at + index + 1 + _CRC_BYTES
            return slice(start, start + size)
    if len(held) - at >= _LONGEST_VARINT:
        raise MalformedReply(f"the length of a frame has no end: {_quoted(held, at)}")
    return None


def _data(held: bytearray, place: slice) -> bytes:
    crc = place.start - _CRC_BYTES
    with memoryview(held) as view:
        data = bytes(view[place])
        expected = int.from_bytes(view[crc : place.start], "big")
    if google_crc32c.value(data) != expected:
        raise MalformedReply(f"a frame is not what its checksum says: {_quoted(held, crc - 1)}")
    return data


def _quoted(held: bytearray, at: int) -> str:
    return repr(bytes(held[at : at + 200]))[1:]
