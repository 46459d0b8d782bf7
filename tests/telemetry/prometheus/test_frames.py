"""Frames: what a server wrote comes out, however the stream is cut; what is damaged never does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus.errors import MalformedReply
from tasks.telemetry.prometheus.frames import frames
from tests.telemetry.prometheus.chunk_encoder import crc32c, framed

CONTENTS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5)


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """*stream* in pieces, some of them empty."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]


def read(pieces: Iterable[bytes]) -> tuple[list[bytes], str]:
    """The frames that came, and the error after them."""
    got: list[bytes] = []
    try:
        for frame in frames(pieces):
            got.append(frame)  # noqa: PERF402 - what came before an error counts
    except MalformedReply as error:
        return got, str(error)
    return got, ""


def test_the_checksum_is_castagnolis() -> None:
    """The tests' own CRC-32C gives the published value of the nine digits."""
    assert crc32c(b"123456789") == 0xE3069283


@settings(deadline=None)
@given(CONTENTS, st.lists(st.integers(0, 10_000), max_size=8))
def test_a_stream_may_be_cut_anywhere(contents: list[bytes], places: list[int]) -> None:
    """Frames come out whole and in order, wherever the pieces end."""
    pieces = cut(b"".join(map(framed, contents)), places)

    assert list(frames(pieces)) == contents


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 2_100_000])
def test_lengths_of_one_to_four_bytes(size: int) -> None:
    """Frames on both sides of each border of the varint, in small pieces and two in one piece."""
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    stream = framed(content)

    assert list(frames(stream[start : start + 1000] for start in range(0, len(stream), 1000))) == [content]
    assert list(frames([stream * 2])) == [content, content]


def test_no_bytes_are_no_frames() -> None:
    """A reply without a series is empty."""
    assert list(frames([])) == list(frames([b"", b""])) == []


@settings(deadline=None)
@given(CONTENTS, st.data())
def test_a_stream_that_stops_early(contents: list[bytes], data: st.DataObject) -> None:
    """Whole frames come out; a part of one is an error. Between two frames only HTTP can know that more was to come."""
    sizes = [len(framed(content)) for content in contents]
    borders = [sum(sizes[:index]) for index in range(len(sizes))]
    end = data.draw(st.integers(0, sum(sizes) - 1) | st.sampled_from(borders))

    got, error = read([b"".join(map(framed, contents))[:end]])

    assert got == contents[: sum(border + size <= end for border, size in zip(borders, sizes, strict=True))]
    assert ("in the middle of a frame" in error) == (end not in borders)


@settings(deadline=None)
@given(CONTENTS, st.data())
def test_one_bit_another_way(contents: list[bytes], data: st.DataObject) -> None:
    """A flipped bit, wherever it is, is an error, and only the frames before it come out."""
    stream = bytearray(b"".join(map(framed, contents)))
    bit = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8

    got, error = read([bytes(stream)])

    assert error
    assert got == contents[: len(got)]
    assert len(got) < len(contents)


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (framed(b"x" * 201), "a frame of 201 bytes, where 1 to 200 are allowed"),
        (bytes(6), "a frame of 0 bytes"),
        (b"\xff" * 10, "has no end"),
        (b"execution: out of memory\n" * 9, "is not what its checksum says: 'execution: out"),
        (b"remote error: tls", "ends in the middle of a frame: 'remote error: tls'"),
    ],
)
def test_what_is_no_frame(stream: bytes, says: str) -> None:
    """Too long, empty, without an end; and the text that a server writes when it fails halfway, which the error quotes."""
    with pytest.raises(MalformedReply, match=says):
        list(frames([framed(b"before"), stream], limit_bytes=200))


def test_a_length_is_refused_before_its_data_come() -> None:
    """A server cannot make a reader wait for, or hold, more than the limit."""
    with pytest.raises(MalformedReply, match="where 1 to 1000 are allowed"):
        next(frames(iter([framed(bytes(1001))[:2]]), limit_bytes=1000))
