"""Messages are cut where they end, however the bytes arrive, and no byte is lost or added."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.faults.framing import Framer, Unframed

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: z\r\n\r\n"
REQUESTS = (GET, POST, CHUNKED)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_any_splitting_of_the_bytes_gives_the_same_messages(messages: list[bytes], cuts: list[int]):
    """The same heads and ends come out for every way in which the network cuts the stream."""
    stream, framer, pieces, at = b"".join(messages), Framer(), [], 0
    for cut in cuts:
        pieces += framer.feed(stream[at : at + cut])
        at += cut
    pieces += framer.feed(stream[at:])

    assert b"".join(piece.data for piece in pieces) == stream
    assert sum(piece.head is not None for piece in pieces) == len(messages)
    assert sum(piece.ends for piece in pieces) == len(messages)
    assert pieces[-1].ends


def test_answers_without_a_body_end_at_their_head():
    """204, 304, interim answers and answers to HEAD have no body; one without a length lasts until the connection closes."""
    for status in (b"204", b"304", b"100"):
        assert Framer(answers=True).feed(b"HTTP/1.1 " + status + b" x\r\nContent-Length: 5\r\n\r\n")[0].ends
    assert Framer(answers=True, bodyless=True).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")[0].ends
    endless = Framer(answers=True)
    assert not any(piece.ends for piece in endless.feed(b"HTTP/1.1 200 OK\r\n\r\nabc"))
    assert endless.until_close


@pytest.mark.parametrize(
    "stream", [b"x" * 70_000, b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"P / H\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_what_is_not_http_is_given_back(stream: bytes):
    """Bytes that cannot be framed are not swallowed."""
    framer = Framer()
    with pytest.raises(Unframed):
        framer.feed(stream)

    assert stream.endswith(framer.rest())
