"""The protobuf of remote read: what was asked, series and chunks as they were sent, and nothing out of broken bytes."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus.errors import MalformedReply
from tasks.telemetry.prometheus.selectors import Matcher
from tasks.telemetry.prometheus.wire import RawSeries, chunked_series, read_request
from tests.telemetry.prometheus.chunk_encoder import message, varint

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABELS = st.dictionaries(TEXT.filter(bool), TEXT | st.sampled_from(["v" * 127, "v" * 128, "é" * 64, "v" * 20_000]), max_size=4)
CHUNK = st.tuples(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, (1 << 31) - 1), st.binary(max_size=200) | st.just(b"c" * 20_000))


def test_the_request_that_is_sent() -> None:
    """One query with its range and a matcher of each kind, which accepts streamed chunks and nothing else, as a snappy block."""
    matchers = [Matcher("__name__", "=", "up"), Matcher("a", "!=", ""), Matcher("é", "=~", "x|y"), Matcher("b", "!~", "z.*")]

    request = bytes(cramjam.snappy.decompress_raw(read_request(-1, 1_700_000_000_000, matchers)))

    assert request == message(
        (
            1,
            message(
                (1, -1),
                (2, 1_700_000_000_000),
                (3, message((1, 0), (2, "__name__"), (3, "up"))),
                (3, message((1, 1), (2, "a"), (3, ""))),
                (3, message((1, 2), (2, "é"), (3, "x|y"))),
                (3, message((1, 3), (2, "b"), (3, "z.*"))),
            ),
        ),
        (2, 1),
    )


UNKNOWN = st.recursive(
    st.one_of(
        st.integers(0, (1 << 64) - 1).map(lambda value: (0, varint(value))),
        st.binary(min_size=8, max_size=8).map(lambda content: (1, content)),
        st.binary(max_size=200).map(lambda content: (2, varint(len(content)) + content)),
        st.binary(min_size=4, max_size=4).map(lambda content: (5, content)),
    ),
    lambda inner: st.tuples(st.integers(1, 1000), st.lists(inner, max_size=2)).map(lambda group: (3, group)),
    max_leaves=4,
)
"""The wire type of a field and its content; of a group, its number and the fields in it."""


def unknown_field(number: int, kind: int, content: object) -> bytes:
    """Such a field as bytes."""
    if kind != 3:
        return varint(number << 3 | kind) + content  # type: ignore[operator]
    inner_number, fields = content  # type: ignore[misc]
    return varint(number << 3 | 3) + b"".join(unknown_field(inner_number, *field) for field in fields) + varint(number << 3 | 4)


@st.composite
def sent(draw: st.DrawFn) -> tuple[bytes, list[tuple[dict[str, str], list[tuple[int, bytes]]]]]:
    """A reply's bytes with unknown fields anywhere in it, and the series in it."""

    def sprinkled(*fields: bytes) -> bytes:
        pieces = []
        for field in fields:
            pieces += [unknown_field(draw(st.integers(20, (1 << 29) - 1)), *one) for one in draw(st.lists(UNKNOWN, max_size=1))]
            pieces.append(field)
        return b"".join(pieces)

    series, frame = [], []
    for _ in range(draw(st.integers(0, 3))):
        labels = {**draw(LABELS), "__name__": draw(TEXT.filter(bool))}
        chunks = draw(st.lists(CHUNK, max_size=3))
        order = draw(st.permutations(sorted(labels)))
        fields = [message((1, sprinkled(message((1, name)), message((2, labels[name]))))) for name in order]
        for time_ms, encoding, data in chunks:
            parts = [message((1, time_ms)), message((2, time_ms)), message((3, encoding)), message((4, data))]
            fields.append(message((2, sprinkled(*(draw(st.permutations(parts)) if draw(st.booleans()) else parts)))))
        series.append((labels, [(encoding, data) for _, encoding, data in chunks]))
        frame.append(message((1, sprinkled(*fields))))
    return sprinkled(*frame, message((2, 0))), series


@settings(deadline=None)
@given(sent())
def test_series_come_out_as_they_were_sent(reply: tuple[bytes, list[tuple[dict[str, str], list[tuple[int, bytes]]]]]) -> None:
    """Labels in the order of their names and chunks in theirs, whatever the order of the fields; unknown fields are passed over."""
    frame, series = reply

    got = chunked_series(frame)

    assert [one.labels for one in got] == [tuple(sorted(labels.items())) for labels, _ in series]
    assert [[(chunk.encoding, bytes(chunk.data)) for chunk in one.chunks] for one in got] == [chunks for _, chunks in series]


@settings(deadline=None)
@given(sent(), st.data())
def test_broken_bytes_are_malformed_or_another_message(reply: tuple[bytes, list[object]], data: st.DataObject) -> None:
    """A cut and a flipped bit end in a message that reads well or in the one error; nothing else is raised."""
    frame = bytearray(reply[0]) or bytearray(1)
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    cut = data.draw(st.integers(0, len(frame)))

    for broken in (bytes(frame), reply[0][:cut], bytes(frame[:cut])):
        try:
            got = chunked_series(broken)
        except MalformedReply:
            continue
        assert all(isinstance(one, RawSeries) for one in got)


NAME = message((1, "__name__"), (2, "up"))


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"\x0a", "ends in the middle of a field"),
        (b"\x0a\x05abc", "longer than its message"),
        (message((1, b"\x0a\x7fabc")), "longer than its message"),
        (message((1, message((1, NAME), (2, b"\x22\x09data"))), (9, "behind")), "longer than its message"),
        (message((1, 7)), "wire type 0 in place of 2"),
        (message((1, message((1, 7)))), "wire type 0 in place of 2"),
        (message((1, message((2, 7)))), "wire type 0 in place of 2"),
        (message((1, message((2, message((1, "early")))))), "wire type 2 in place of 0"),
        (message((1, message((2, message((2, "late")))))), "wire type 2 in place of 0"),
        (message((1, message((2, message((3, "xor")))))), "wire type 2 in place of 0"),
        (message((1, message((2, message((4, 7)))))), "wire type 0 in place of 2"),
        (message((2, "0")), "wire type 2 in place of 0"),
        (message((2, 1)), "answers query 1"),
        (message((1, message((1, message((1, b"\xff"), (2, "x")))))), "not UTF-8"),
        (message((1, message((1, message((1, "x"), (2, b"\xed\xa0\x80")))))), "not UTF-8"),
        (message((1, message((1, NAME), (1, NAME)))), "one label twice"),
        (message((1, message((1, NAME), (1, message((2, "value")))))), "a label without a name"),
        (message((1, message((1, NAME), (1, b"")))), "a label without a name"),
        (message((1, message((1, message((1, "job"), (2, "x")))))), "without a metric name"),
        (message((1, message((1, message((1, "__name__")))))), "without a metric name"),
        (b"\x48" + b"\xff" * 10, "longer than 64 bits"),
        (b"\x48" + b"\x80" * 10 + b"\x00", "longer than 64 bits"),
        (b"\x48" + b"\xff" * 9 + b"\x02", "longer than 64 bits"),
        (b"\x00\x00", "has the number 0"),
        (varint(1 << 32) + b"\x00", "has the number 536870912"),
        (b"\x4e", "unknown wire type 6"),
        (b"\x4c", "a protobuf group ends that was not begun"),
        (b"\x4b\x54", "a protobuf group ends that was not begun"),
        (b"\x4b" * 100_000, "ends in the middle of a field"),
    ],
)
def test_what_breaks_the_rules(frame: bytes, says: str) -> None:
    """Each is told by what is wrong with it."""
    with pytest.raises(MalformedReply, match=says):
        chunked_series(frame)


def test_the_last_one_of_a_field_counts() -> None:
    """As protobuf has it; a field that is not there has its default."""
    label = message((1, "x"), (1, "__name__"), (2, "one"), (2, "up"))
    chunks = [message((3, 2), (4, b"a"), (3, 1), (4, b"b")), message((4, b"c")), message((3, 1))]
    chunks.append(message((1, 5), (2, 6), (3, 1), (4, b"d"), (4, b"e")))

    (series,) = chunked_series(message((1, message((1, label), (1, message((1, "job"))), *((2, chunk) for chunk in chunks)))))

    assert series.labels == (("__name__", "up"), ("job", ""))
    assert [(chunk.encoding, bytes(chunk.data)) for chunk in series.chunks] == [(1, b"b"), (0, b"c"), (1, b""), (1, b"e")]


@pytest.mark.parametrize("size", [1, 126, 127, 128, 133, 16_384])
@pytest.mark.parametrize("value", ["", "v" * 17, "v" * 127, "v" * 128, "v" * 300])
def test_long_names_and_values(size: int, value: str) -> None:
    """Names and values on both sides of where their length takes a second byte; this name looks like a shorter one at first sight."""
    labels = {"__name__": "up", "n" * (size - 1) + "\x12": value}

    (series,) = chunked_series(message((1, message(*((1, message((1, name), (2, text))) for name, text in labels.items())))))

    assert series.labels == tuple(sorted(labels.items()))
