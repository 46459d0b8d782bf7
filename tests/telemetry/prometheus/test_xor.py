"""XOR chunks: what a plain reader reads bit by bit, thousands at a time; a chunk that is cut off gives nothing."""

from __future__ import annotations

import struct
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus import xor
from tasks.telemetry.prometheus.errors import MalformedReply
from tests.telemetry.prometheus.chunk_encoder import Sample, decode, encode

T0 = 1_700_000_000_000
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
BORDERS = [border + off for bits in (13, 16, 19) for border in (1 << bits, -(1 << bits)) for off in (-1, 0, 1)]
"""Deltas of deltas on both sides of where another length begins."""
SPECIAL = [0, 1 << 63, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF0000000000002, 0x7FF8000000000001, 0xFFF8DEADBEEF1234, 1, (1 << 64) - 1]
"""Zeros, infinities, the stale marker, NaNs with a payload, the smallest subnormal, all ones."""


def bits_of(value: float) -> int:
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return bits


VALUES = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.sampled_from(SPECIAL),
    st.floats(width=64).map(bits_of),
    st.integers(0, 1000).map(lambda number: bits_of(float(number))),
    st.builds(lambda bit: 1 << bit, st.integers(0, 63)),
)


@st.composite
def regular(draw: st.DrawFn) -> list[Sample]:
    """Samples as a scrape makes them: one interval that now and then changes, by little or by much."""
    changes = draw(st.lists(st.just(0) | st.sampled_from(BORDERS) | st.integers(-(1 << 21), 1 << 21), max_size=30))
    deltas = [max(0, delta) for delta in accumulate(changes, initial=5000)]
    times = list(accumulate(deltas, initial=T0))
    pool = draw(st.lists(VALUES, min_size=1, max_size=4))
    return [(time_ms, draw(st.sampled_from(pool))) for time_ms in times]


@st.composite
def anything(draw: st.DrawFn) -> list[Sample]:
    """Any ascending times an int64 can say, with any values."""
    times = sorted(draw(st.lists(INT64, max_size=12)))
    return [(time_ms, draw(VALUES)) for time_ms in times]


SAMPLES = regular() | anything()


def read(decoded: xor.Decoded) -> list[list[Sample]]:
    """The samples of each chunk."""
    rows = list(zip(decoded.time_ms.tolist(), decoded.value.view(np.uint64).tolist(), strict=True))
    ends = np.cumsum(decoded.counts).tolist()
    return [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(deadline=None)
@given(st.lists(SAMPLES, max_size=8), st.data())
def test_every_bit_comes_back(many: list[list[Sample]], data: st.DataObject) -> None:
    """Chunks of any lengths, read together, give the samples they were written from; bytes behind them do not matter."""
    chunks = [encode(samples) + data.draw(st.binary(max_size=2)) for samples in many]

    assert read(xor.decode(chunks)) == many
    assert [list(decode(chunk)) for chunk in chunks] == many


@pytest.mark.parametrize("dod", [0, 1, -1, *BORDERS, 1 << 40, -(1 << 40), (1 << 62), -(1 << 63)])
def test_each_change_of_the_interval(dod: int) -> None:
    """Each length of a delta of deltas up to its borders, the 64-bit one included, at every offset in a byte."""
    many = []
    for offset in range(9):
        times = [T0 + 20 * step for step in range(offset + 2)]
        times.append((times[-1] + 20 + dod + (1 << 63)) % (1 << 64) - (1 << 63))
        many.append([(time_ms, 0) for time_ms in times])

    assert read(xor.decode([encode(samples) for samples in many])) == many


@pytest.mark.parametrize("width", range(1, 65))
def test_each_width_of_a_value(width: int) -> None:
    """Windows of 1 to 64 bits, at every place in the value and every offset in a byte, set and then used again."""
    ones = (1 << width) - 1
    many = [
        [(T0 + step, value) for step, value in enumerate([0, *([0] * offset), ones << shift, 0, 1 << shift, ones << shift])]
        for shift in range(65 - width)
        for offset in range(8)
    ]

    assert read(xor.decode([encode(samples) for samples in many])) == many


def test_a_chunk_as_prometheus_wrote_it() -> None:
    """Bytes out of a block that promtool 2.42 made give what it was made from."""
    chunk = bytes.fromhex(
        "000b80a0abfef9623ff00000000000008827c25fff600b8001c076007270d8beffd0000000000007857e45e0000000000362b31001"
        "0000000000003fffffffffffc6cf6187e8093333333333335006aaaaaaaaaaaae9fe9999999999a6e50d00000000001fa0"
    )
    values = ["1", "2", "-0.0", "3.5", "nan", "nan", "inf", "0.1", "0.30000000000000004", "1e-320", "9007199254740993"]
    after_ms = [0, 5000, 10_000, 15_001, 25_000, 125_000, 2_000_000, 2_001_000, 2_002_000, 2_003_000, 2_004_000]
    go_nan = 0x7FF8000000000001
    samples = [(T0 + ms, go_nan if text == "nan" else bits_of(float(text))) for ms, text in zip(after_ms, values, strict=True)]

    assert read(xor.decode([chunk])) == [samples]
    assert encode(samples) == chunk


def test_a_window_that_was_never_set() -> None:
    """An appender that reopened a chunk of one value writes 64 bits into the window it has; Prometheus reads them so."""
    head = encode([(T0, 7)])[2:]
    bits = "".join(f"{byte:08b}" for byte in head) + "00000101" + "10" + f"{7 ^ 9:064b}"
    bits += "0" * (-len(bits) % 8)
    chunk = b"\0\2" + int(bits, 2).to_bytes(len(bits) // 8, "big")

    assert list(decode(chunk)) == [(T0, 7), (T0 + 5, 9)]
    assert read(xor.decode([chunk])) == [[(T0, 7), (T0 + 5, 9)]]


def test_more_chunks_than_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions by number and by bytes, and chunks without a sample, change nothing about the order."""
    many = [[(T0 + step, index * step) for step in range(index % 5)] for index in range(50)]
    chunks = [encode(samples) for samples in many]
    whole = read(xor.decode(chunks))
    monkeypatch.setattr(xor, "CHUNKS_AT_ONCE", 7)
    by_number = read(xor.decode([memoryview(chunk) for chunk in chunks]))
    monkeypatch.setattr(xor, "BYTES_AT_ONCE", 60)
    by_bytes = read(xor.decode(chunks))

    assert whole == by_number == by_bytes == many


def test_no_chunks_have_no_samples() -> None:
    """Nothing gives empty columns."""
    nothing = xor.decode([])

    assert (nothing.counts.shape, nothing.time_ms.shape, nothing.value.shape) == ((0,), (0,), (0,))
    assert (nothing.counts.dtype, nothing.time_ms.dtype, nothing.value.dtype) == (np.int64, np.int64, np.float64)


def test_a_single_missing_bit() -> None:
    """A chunk whose last byte is missing, however few bits of it are used, with another one behind it and without."""
    behind = encode([(T0, 1)])
    for length in range(1, 30):
        cut = encode([(T0 + step, 0) for step in range(length)])[:-1]
        for chunks in ([cut], [cut, behind], [behind, cut, behind]):
            with pytest.raises(MalformedReply):
                xor.decode(chunks)


@settings(deadline=None)
@given(SAMPLES, st.lists(SAMPLES, max_size=3), st.data())
def test_a_chunk_that_is_cut_off(samples: list[Sample], others: list[list[Sample]], data: st.DataObject) -> None:
    """Whatever is missing at its end, a chunk alone or among others is an error, though the next one's bytes stand behind it."""
    chunk = encode(samples)
    cut = chunk[: data.draw(st.integers(0, len(chunk) - 1))]
    place = data.draw(st.integers(0, len(others)))
    chunks = [encode(other) for other in others]

    with pytest.raises(MalformedReply):
        xor.decode([*chunks[:place], cut, *chunks[place:]])
    with pytest.raises(EOFError):
        list(decode(cut))


@settings(deadline=None)
@given(st.binary(max_size=200) | st.builds(lambda samples, bit: flipped(encode(samples), bit), SAMPLES, st.integers(0, 1 << 16)))
@example(b"\xff\xff" + bytes(40))
@example(b"\0\1" + b"\xff" * 9 + b"\1" + bytes(8))
@example(b"\0\1" + b"\xff" * 9 + b"\2" + bytes(8))
@example(b"\0\2" + bytes(10) + b"\xff" * 30)
def test_any_bytes(chunk: bytes) -> None:
    """Bytes that no writer wrote are what the plain reader reads in them, or malformed; nothing else happens."""
    try:
        got = read(xor.decode([chunk]))
    except MalformedReply:
        return
    assert got == [list(decode(chunk))]


def flipped(chunk: bytes, bit: int) -> bytes:
    """*chunk* with one bit another way."""
    bit %= 8 * len(chunk)
    return bytes(byte ^ (1 << bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(chunk))


@pytest.mark.parametrize(
    ("chunk", "says"),
    [
        (b"\0", "without its number of samples"),
        (b"\xff\xff" + bytes(40), "too short for its samples"),
        (b"\0\xfa" + bytes(40), "too short for its samples"),
        (b"\0\2" + bytes(9), "too short for its samples"),
        (b"\0\1" + b"\xff" * 10 + bytes(8), "longer than 64 bits"),
        (b"\0\1" + b"\xff" * 9 + b"\2" + bytes(8), "longer than 64 bits"),
        (b"\0\2" + bytes(10) + b"\xff" * 30, "more than 64 bits"),
    ],
)
def test_what_no_writer_writes(chunk: bytes, says: str) -> None:
    """Each is told by what is wrong with it."""
    with pytest.raises(MalformedReply, match=says):
        xor.decode([encode([(T0, 1)]), chunk])
