"""A streamed reply into batches: the asked range of each series, each time once, the same however it is framed and batched."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus.batch import STALE_BITS, Batch, Labels
from tasks.telemetry.prometheus.errors import MalformedReply, UnknownEncoding
from tasks.telemetry.prometheus.frames import frames
from tasks.telemetry.prometheus.selectors import Matcher
from tasks.telemetry.prometheus.streamed import batches
from tasks.telemetry.prometheus.wire import read_request
from tests.telemetry.prometheus.chunk_encoder import Sample, chunk_message, message, series_message
from tests.telemetry.prometheus.conftest import Serve

T0 = 1_700_000_000_000
EVER = (-(1 << 63), (1 << 63) - 1)
ONE, TWO = 0x3FF0 << 48, 0x4000 << 48


def named(number: int) -> dict[str, str]:
    return {"__name__": f"m{number % 2}", "number": str(number)}


def key(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def table(found: Iterable[Batch]) -> dict[Labels, list[Sample]]:
    """The samples of each series over all batches, which must keep the promises of a batch."""
    samples: dict[Labels, list[Sample]] = {}
    newest: Labels = ()
    for batch in found:
        assert len(batch.labels) == len(batch.counts)
        assert batch.counts.sum() == len(batch.time_ms) == len(batch.value)
        rows = iter(zip(batch.time_ms.tolist(), batch.value.view(np.uint64).tolist(), strict=True))
        for labels, count in zip(batch.labels, batch.counts.tolist(), strict=True):
            assert labels == newest or labels not in samples, "a series came back after another one"
            samples.setdefault(labels, []).extend(next(rows) for _ in range(count))
            newest = labels
    return samples


@dataclass(frozen=True, slots=True)
class Sent:
    """Chunks of some series, and the frames they were sent in."""

    series: list[list[list[Sample]]]
    frames: list[bytes]


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """Series of chunks that may overlap, in order of their first times, cut into frames anywhere between two chunks."""
    values = st.sampled_from([ONE, TWO, STALE_BITS, STALE_BITS + 1])
    chunk = st.dictionaries(st.integers(0, 30), values, min_size=1, max_size=6).map(lambda found: sorted(found.items()))
    series = draw(st.lists(st.lists(chunk, max_size=7).map(lambda chunks: sorted(chunks, key=lambda one: one[0][0])), max_size=5))
    parts = []
    for number, chunks in enumerate(series):
        edges = sorted({0, *draw(st.lists(st.integers(0, len(chunks)), max_size=3)), len(chunks)} - {0})
        for start, end in zip([0, *edges], edges or [0], strict=False):
            parts.append((1, series_message(named(number), chunks[start:end])))
    size = draw(st.integers(1, 4))
    return Sent(series, [message(*parts[start : start + size]) for start in range(0, len(parts), size)])


@settings(deadline=None, max_examples=300)
@given(sent(), st.integers(-1, 31), st.integers(-1, 31), st.integers(1, 12))
def test_frames_and_batches_change_nothing(sent: Sent, start: int, end: int, chunks_at_once: int) -> None:
    """The first sample of each time within the range, without stale markers; left out ones are counted."""
    expected: dict[Labels, list[Sample]] = {}
    duplicates = stale = 0
    for number, chunks in enumerate(sent.series):
        inside = [sample for chunk in chunks for sample in chunk if start <= sample[0] <= end]
        first = dict(reversed(inside))
        duplicates += len(inside) - len(first)
        stale += sum(value == STALE_BITS for value in first.values())
        expected[key(named(number))] = sorted(sample for sample in first.items() if sample[1] != STALE_BITS)

    got = list(batches(sent.frames, start, end, chunks_at_once))

    assert table(got) == expected
    assert sum(batch.duplicates for batch in got) == duplicates
    assert sum(batch.stale for batch in got) == stale


def test_a_batch_ends_between_series() -> None:
    """Whole series are collected until there are enough chunks; the rest is the last batch."""
    series = [series_message(named(number), [[(T0 + step, ONE)] for step in range(3)]) for number in range(5)]

    got = list(batches([message((1, one)) for one in series], *EVER, chunks_at_once=6))

    assert [[labels[1][1] for labels in batch.labels] for batch in got] == [["0", "1"], ["2", "3"], ["4"]]


def test_a_series_that_fills_a_batch_alone_is_cut() -> None:
    """What its newest chunk may still overlap waits for the next batch, which is merged with it."""
    chunks = [[(10 * step, ONE), (10 * step + 5, ONE)] for step in range(6)]
    chunks.append([(42, TWO), (45, TWO), (70, TWO)])
    parts = [series_message(named(0), [chunk]) for chunk in sorted(chunks)]

    got = list(batches([message((1, part)) for part in parts], *EVER, chunks_at_once=2))

    assert [batch.time_ms.tolist() for batch in got] == [[0, 5], [10, 15, 20, 25], [30, 35, 40], [42, 45, 50, 55, 70]]
    merged = {time_ms: ONE for chunk in chunks[:6] for time_ms, _ in chunk} | {42: TWO, 70: TWO}
    assert table(got) == {key(named(0)): sorted(merged.items())}
    assert sum(batch.duplicates for batch in got) == 1


def test_a_cut_where_the_newest_chunks_are_empty() -> None:
    """A series that began with chunks without a sample has given out nothing yet: what follows may be older than another series."""
    parts = [series_message(named(0), [[(100, ONE)]]), *(series_message(named(1), [chunk]) for chunk in ([], [], [(5, TWO)], []))]

    got = list(batches([message((1, part)) for part in parts], *EVER, chunks_at_once=2))

    assert table(got) == {key(named(0)): [(100, ONE)], key(named(1)): [(5, TWO)]}
    assert len(got) == 3


def test_chunks_out_of_order_over_a_cut_are_refused() -> None:
    """A chunk that is older than what was given out cannot be put in order any more."""
    parts = [series_message(named(0), [[(time_ms, ONE)]]) for time_ms in (0, 10, 20, 5)]

    with pytest.raises(MalformedReply, match="not in order of their first times"):
        list(batches([message((1, part)) for part in parts], *EVER, chunks_at_once=1))


def test_a_series_that_comes_back_is_refused() -> None:
    """Also when another batch was given out in between."""
    parts = [series_message(named(number), [[(T0, ONE)]]) for number in (0, 1, 0)]

    for chunks_at_once in (1, 100):
        with pytest.raises(MalformedReply, match="came twice"):
            list(batches([message((1, part)) for part in parts], *EVER, chunks_at_once))


def test_histograms_are_counted_by_name() -> None:
    """Chunks of native histograms are left out, those of the same series with numbers are read; empty series stay."""
    mixed = series_message(named(0), [[(T0, ONE)]]) + message((2, message((3, 2), (4, b"\0\1h"))))
    only = series_message(named(1), []) + message(*((2, message((3, encoding), (4, b"?"))) for encoding in (2, 3)))
    again = series_message(named(2), []) + message((2, message((3, 3))))

    (batch,) = batches([message((1, mixed), (1, only), (1, again))], *EVER)

    assert table([batch]) == {key(named(0)): [(T0, ONE)], key(named(1)): [], key(named(2)): []}
    assert dict(batch.histograms) == {"m0": 2, "m1": 2}


@pytest.mark.parametrize("encoding", [0, 4, -1])
def test_an_unknown_encoding_is_an_error(encoding: int) -> None:
    """It is named, with its series; skipping it would lose samples in silence."""
    frame = message((1, series_message(named(3), [[(T0, ONE)]], encoding)))

    with pytest.raises(UnknownEncoding, match=f"'number': '3'.* unknown encoding {encoding}$"):
        list(batches([frame], *EVER))


def test_a_chunk_that_is_cut_off_gives_no_batch() -> None:
    """Nothing of it is given out."""
    good, bad = chunk_message([(T0, ONE)]), message((3, 1), (4, b"\0\2\0"))
    frame = message((1, message((1, message((1, "__name__"), (2, "m"))), (2, good), (2, bad))))

    with pytest.raises(MalformedReply, match="too short"):
        next(batches([frame], *EVER))


def test_a_reply_without_series_has_no_batch() -> None:
    """No frames, and a frame without series."""
    assert list(batches([], *EVER)) == list(batches([b""], *EVER)) == []


def asked(address: str, start_ms: int, end_ms: int, matchers: Sequence[Matcher], chunks_at_once: int = 4096) -> list[Batch]:
    """What a server streams, in batches."""
    request = urllib.request.Request(
        f"{address}/api/v1/read",
        read_request(start_ms, end_ms, matchers),
        {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Read-Version": "0.1.0"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.headers["Content-Type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
        return list(batches(frames(iter(lambda: reply.read(1000), b"")), start_ms, end_ms, chunks_at_once))


def bits_of(value: float) -> int:
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return bits


def dumped(promtool: str, data: Path, start_ms: int, end_ms: int) -> dict[Labels, list[Sample]]:
    """The samples that promtool reads in *data*; its NaNs are those of Go."""
    (data / "wal").mkdir(exist_ok=True)
    argv = [promtool, "tsdb", "dump", f"--min-time={start_ms}", f"--max-time={end_ms}", data]
    found: dict[Labels, list[Sample]] = {}
    for line in subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines():
        shown, value, time_ms = line.rsplit(" ", 2)
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', shown)
        bits = 0x7FF8000000000001 if value == "NaN" else bits_of(float(value))
        found.setdefault(tuple((name, json.loads(text)) for name, text in pairs), []).append((int(time_ms), bits))
    return found


def exposition() -> str:
    """Five hours in OpenMetrics: values of every kind, and where they are not steady, changes of the interval of every size."""
    rng = np.random.default_rng(7)
    special = ["NaN", "+Inf", "-Inf", "-0.0", "0", "1e-320", "9007199254740993", "1.7976931348623157e308"]
    late_ms = rng.choice([0, 0, 0, 0, 1, 2, 8191, 8192, 8193], 1200)
    lines = ["# TYPE kinds gauge"]
    for kind, series in enumerate(['kinds{kind="steady"}', 'kinds{kind="count"}', 'kinds{kind="noise",text="a\\"b\\\\c é"}', "kinds"]):
        for step in range(1200):
            if kind % 2 and (step % 97 < 5 or step % 50 == 0 or 600 <= step < 650):
                continue
            time_ms = T0 + 15_000 * step + (int(late_ms[step]) if kind % 2 else 0)
            value = (5, step // 3, repr(float(rng.normal())), special[int(rng.integers(len(special)))])[kind]
            lines.append(f"{series} {value} {time_ms // 1000}.{time_ms % 1000:03d}")
    return "\n".join([*lines, "# EOF", ""])


def test_blocks_of_a_real_prometheus(promtool: str, prometheus: Serve, tmp_path: Path) -> None:
    """Every sample of three blocks is, bit for bit, what promtool dumps, over the whole range and from one sample to another."""
    data, text = tmp_path / "data", tmp_path / "history.txt"
    text.write_text(exposition())
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", text, data], check=True, capture_output=True)
    ranges = [(T0 - 1, T0 + 10**9), (T0 + 15_000 * 400, T0 + 15_000 * 803), (T0 + 15_000 * 400 + 1, T0 + 15_000 * 803 - 1)]
    expected = [dumped(promtool, data, *one) for one in ranges]
    address = prometheus(data)

    got = [[asked(address, *one, [Matcher("__name__", "=", "kinds")], size) for one in ranges] for size in (4096, 30, 3)]

    assert min(len(samples) for samples in expected[0].values()) > 1000
    assert min(len(samples) for one in expected[1:] for samples in one.values()) > 300
    assert [len(one) for one in expected] == [4, 4, 4]
    assert [[table(batched) for batched in one] for one in got] == [expected] * 3
    assert {len(batched) for one in got for batched in one} > {1}


def written(address: str, labels: dict[str, str], samples: Sequence[Sample]) -> None:
    """Send *samples* to the server by remote write."""
    named = [(1, message((1, name), (2, value))) for name, value in sorted(labels.items())]
    rows = [(2, b"\x09" + struct.pack("<Q", bits) + message((2, time_ms))) for time_ms, bits in samples]
    body = bytes(cramjam.snappy.compress_raw(message((1, message(*named, *rows)))))
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    urllib.request.urlopen(urllib.request.Request(f"{address}/api/v1/write", body, headers), timeout=60).close()


def test_the_head_of_a_real_prometheus(prometheus: Serve, tmp_path: Path) -> None:
    """Open chunks, stale markers, payloads of NaNs, and samples that came out of order."""
    address = prometheus(tmp_path / "data")
    rng = np.random.default_rng(3)
    bits = [int(one) for one in rng.integers(0, 1 << 64, 700, dtype=np.uint64)]
    rows = [(T0 + 1000 * step, one) for step, one in enumerate(bits)]
    rows[50], rows[650] = (rows[50][0], STALE_BITS), (rows[650][0], STALE_BITS + 1)
    late = [row for index, row in enumerate(rows) if index % 7 == 3 and index < 600]
    labels = {"__name__": "pushed", "job": "test"}
    written(address, labels, [row for row in rows if row not in late])
    for start in (40, 0):
        written(address, labels, late[start : start + 40])

    got = asked(address, T0, T0 + 699_000, [Matcher("job", "=~", "te.*"), Matcher("__name__", "!=", "other")])

    expected = [row for row in rows if row[1] != STALE_BITS and (row not in late or row in late[:80])]
    assert len(late) > 80
    assert table(got) == {key(labels): expected}
    assert (got[0].stale, got[0].duplicates) == (1, 0)
