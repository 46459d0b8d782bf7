"""Replies in JSON become columns bit for bit, however they are written, and a damaged one never becomes numbers."""

from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.telemetry.prometheus import compact_json, range_json
from tasks.telemetry.prometheus.batch import STALE_BITS, Labels
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.range_json import JsonReply, batch_of
from tasks.telemetry.prometheus.selectors import parse_selector, window_query
from tests.telemetry.prometheus.conftest import bare_server

ALL = (-(10**17), 10**17)
T0 = 1_435_781_430_781
NAN_BITS = 0x7FF8000000000001
Told = tuple[dict[Labels, list[tuple[int, int]]], int, dict[str, int]]
"""Times and bits of values by series, duplicates, and histograms by metric."""


class Refused(Exception):
    """The plain reader does not take it."""


def told(reply: JsonReply) -> Told:
    """*reply* as plain Python."""
    batch = reply.batch
    ends = np.cumsum(batch.counts).tolist()
    rows = list(zip(batch.time_ms.tolist(), batch.value.view(np.int64).tolist(), strict=True))
    assert (batch.time_ms.dtype, batch.value.dtype, batch.counts.dtype, batch.stale) == (np.int64, np.float64, np.int64, 0)
    assert len(batch.labels) == len(set(batch.labels)) == len(batch.counts)
    assert ends[-1:] == [len(rows)][: len(ends)]
    series = {one: rows[end - count : end] for one, end, count in zip(batch.labels, ends, batch.counts.tolist(), strict=True)}
    return series, batch.duplicates, dict(batch.histograms)


def plainly(body: bytes, start_ms: int, end_ms: int) -> Told:
    """What the json module and a loop over all samples make of *body*."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(pairs) if len(dict(pairs)) == len(pairs) else refuse()

    def refuse(*_: object) -> Any:
        raise Refused

    def decimal(text: str) -> Decimal:
        return refuse() if "e" in text.lower() else Decimal(text)

    def milliseconds(second: Any) -> int:
        if not isinstance(second, Decimal) or abs(second) >= 10**15 or (second * 1000) % 1:
            refuse()
        return int(second * 1000)

    def value_of(text: Any) -> int:
        if not isinstance(text, str) or not text.isascii() or "_" in text or text != "".join(text.split()):
            refuse()
        number = float(text)
        return NAN_BITS if math.isnan(number) else struct.unpack("<q", struct.pack("<d", number))[0]

    try:
        document = json.loads(body.decode(), parse_float=decimal, parse_int=Decimal, parse_constant=refuse, object_pairs_hook=unique)
        if (
            document["status"] != "success"
            or document["data"]["resultType"] != "matrix"
            or not isinstance(document["data"]["result"], list)
        ):
            refuse()
        if not all(isinstance(document.get(key) or [], list) for key in ("warnings", "infos")):
            refuse()
        series: dict[Labels, dict[int, int]] = {}
        duplicates, histograms = 0, Counter[str]()
        for one in document["data"]["result"]:
            labels = tuple(sorted(one["metric"].items()))
            if not isinstance(one.get("values", []), list) or not isinstance(one.get("histograms", []), list):
                refuse()
            "".join(name + value for name, value in labels).encode()
            rows = series.setdefault(labels, {})
            for pair in one.get("values", []):
                second, text = pair if isinstance(pair, list) else refuse()
                at, bits = milliseconds(second), value_of(text)
                if start_ms <= at <= end_ms:
                    duplicates += at in rows
                    rows.setdefault(at, bits)
            for pair in one.get("histograms", []):
                second, _ = pair if isinstance(pair, list) else refuse()
                histograms[one["metric"].get("__name__", "")] += start_ms <= milliseconds(second) <= end_ms
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Refused from error
    return {labels: sorted(rows.items()) for labels, rows in series.items()}, duplicates, dict(+histograms)


def outcome(reader: Any, body: bytes, window: tuple[int, int] = ALL) -> Told | None:
    """What *reader* tells of *body*; None when it refuses."""
    try:
        found = reader(body, *window)
    except (Refused, MalformedReply):
        return None
    return told(found) if isinstance(found, JsonReply) else found


def go(value: float) -> str:
    """*value* as Go writes it: the shortest text that reads back."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else '+'}Inf"
    if value and not 1e-6 <= abs(value) < 1e21:
        digits, exponent = repr(Decimal(repr(value)).normalize()).split("'")[1].lower().split("e")
        return f"{digits}e{exponent[0]}{int(exponent[1:]):02d}"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def second(time_ms: int) -> str:
    """*time_ms* as the server writes it."""
    sign, (whole, rest) = "-" if time_ms < 0 else "", divmod(abs(time_ms), 1000)
    return f"{sign}{whole}.{rest:03d}" if rest else f"{sign}{whole}"


def compact(series: list[dict[str, Any]], tail: str = "") -> bytes:
    """A reply in the server's own hand; times and values are texts already."""

    def samples(pairs: list[Any]) -> str:
        return ",".join(f"[{at},{json.dumps(value, separators=(',', ':'))}]" for at, value in pairs)

    def one(entry: dict[str, Any]) -> str:
        parts = [f'"metric":{json.dumps(entry["metric"], separators=(",", ":"), ensure_ascii=False)}']
        parts += [f'"{key}":[{samples(entry[key])}]' for key in ("values", "histograms") if entry.get(key)]
        return "{" + ",".join(parts) + "}"

    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(map(one, series))}]}}{tail}}}'.encode()


def reply_of(*pairs: tuple[Any, str], **labels: str) -> bytes:
    return compact([{"metric": {"__name__": "m", **labels}, "values": list(pairs)}])


HISTOGRAM = {"count": "5", "sum": "3.5", "buckets": [[0, "0.25", "0.5", "2"], [3, "-0.25", "0.25", "3"]]}
HOSTILE = st.text(st.sampled_from(']["{},:\\\n\u2028é😀\x00 a=') | st.characters(exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
    [']]', '"values":[[1,"2"]]', '}]]}', '"result":[', ']]},{"metric":{}', '\\"', '\\']
)  # fmt: skip
LABELS = st.dictionaries(st.sampled_from(["__name__", "job", "le", "a.b", ""]), HOSTILE, max_size=3)
TIMES = (
    st.integers(T0 - 5, T0 + 5)
    | st.integers(-2000, 2000)
    | st.integers(-(10**17), 10**17).map(lambda ms: ms // 1000 * 1000)
    | st.integers(-(10**17), 10**17)
)
TYPICAL = st.integers(T0, T0 + 10**9)
VALUES = (
    st.floats()
    | st.integers(-(10**6), 10**6).map(float)
    | st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1.7976931348623157e308, 1e21, 1e-6, 0.1, 1 / 3])
)
ODD_TEXTS = st.text(st.sampled_from("0123456789+-.eEnNaAiIfFtTyY()_ x"), max_size=6) | st.sampled_from(
    ["1e400", "-1e-400", "infinity", "1.", ".5", "nan(1)", "0x1"]
)


def series_of(times: st.SearchStrategy[int], values: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Series with samples as texts, now and then with histograms or a time that is there twice."""
    pair = st.tuples(times.map(second), values)
    plain = st.fixed_dictionaries({"metric": LABELS, "values": st.lists(pair, min_size=1, max_size=6)})
    mixed = st.fixed_dictionaries(
        {
            "metric": LABELS,
            "values": st.lists(pair, max_size=3),
            "histograms": st.lists(st.tuples(times.map(second), st.just(HISTOGRAM)), max_size=3),
        }
    )
    return st.lists(plain | plain | mixed, max_size=4)


WINDOWS = st.sampled_from([ALL, ALL, (T0 - 2, T0 + 2), (T0, T0), (0, T0 + 5 * 10**8), (5, 4)])
BLOCKS = st.sampled_from([1, 40, 200, 1 << 19])


@settings(deadline=None)
@given(series_of(TIMES | TYPICAL, VALUES.map(go)), WINDOWS, BLOCKS)
def test_any_reply_reads_as_the_json_module_reads_it(series: list[dict[str, Any]], window: tuple[int, int], block_bytes: int) -> None:
    """Whatever the labels hold, wherever the text is cut into blocks: times are exact and values bit-identical."""
    body = compact(series)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact_json, "BLOCK_BYTES", block_bytes)
        found = outcome(batch_of, body, window)

    assert found is not None
    assert found == outcome(plainly, body, window)


@settings(deadline=None)
@given(series_of(TYPICAL, VALUES.map(go)), BLOCKS, st.sampled_from(["", ',"warnings":["\\"result\\":[","]]"]', ',"stats":{"result":[]}']))
def test_the_compact_path_and_the_json_module_agree(series: list[dict[str, Any]], block_bytes: int, tail: str) -> None:
    """What the server writes never needs the json module, and that would have given the same."""
    body = compact([one for one in series if one.get("values") or one.get("histograms")], tail)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact_json, "BLOCK_BYTES", block_bytes)
        patch.setattr(range_json, "_any_json", None)
        fast = told(batch_of(body, *ALL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact_json, "HEAD", b"never")
        slow = told(batch_of(body, *ALL))

    assert fast == slow == plainly(body, *ALL)


@settings(deadline=None)
@given(series_of(TIMES, VALUES.map(go)), WINDOWS, st.data())
def test_other_layouts_say_the_same(series: list[dict[str, Any]], window: tuple[int, int], data: st.DataObject) -> None:
    """Blanks, another order of the keys and escapes make no difference."""
    body = compact(series)
    document = json.loads(
        body, parse_float=lambda text: {"float": text}, object_pairs_hook=lambda pairs: dict(data.draw(st.permutations(pairs)))
    )
    indent, ascii_only = data.draw(st.sampled_from([None, 1])), data.draw(st.booleans())

    def numbers(value: Any) -> str:
        if isinstance(value, dict) and list(value) == ["float"]:
            return value["float"]
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=ascii_only)} : {numbers(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(numbers, value)) + ("\n]" if indent else "]")
        return json.dumps(value, ensure_ascii=ascii_only)

    assert outcome(batch_of, numbers(document).encode(), window) == outcome(plainly, body, window)


@settings(deadline=None)
@given(series_of(TYPICAL, ODD_TEXTS), st.sampled_from([0, 1]))
@example([{"metric": {}, "values": [("1435781430", "nan(1)")]}], 0)
def test_only_numbers_are_values(series: list[dict[str, Any]], extra: int) -> None:
    """A text that is no number fails the reply; what is one is read the same on both paths."""
    body = compact(series[: 1 + extra])

    assert outcome(batch_of, body) == outcome(plainly, body)


@settings(deadline=None, max_examples=400)
@given(series_of(TYPICAL, VALUES.map(go)), st.data())
def test_a_damaged_reply_is_refused_or_still_means_what_it_says(series: list[dict[str, Any]], data: st.DataObject) -> None:
    """With any byte changed, added or taken away, the result is that of the json module: a refusal, or what then stands there."""
    body = bytearray(compact(series, data.draw(st.sampled_from(["", ',"warnings":["w"]']))))
    at = data.draw(st.integers(0, len(body) - 1))
    new = data.draw(
        st.binary(max_size=1)
        | st.sampled_from([b'"', b",", b"[", b"]", b"{", b"}", b"\\", b".", b"-", b"e", b"0", b" ", b"[[", b'"]', b"],["])
    )
    body[at : at + data.draw(st.integers(0, 2))] = new

    assert outcome(batch_of, bytes(body)) == outcome(plainly, bytes(body))


def test_no_byte_of_a_reply_is_overlooked() -> None:
    """Each byte in turn becomes each of those that mean something: what is taken then is what the json module takes, and it is little."""
    samples = [(second(T0), "1"), (second(T0 + 219), "-2.5e-07")]
    body = compact(
        [
            {"metric": {"a": "b"}, "values": samples},
            {"metric": {}, "values": samples[:1], "histograms": [("5", {"count": "1", "sum": "1"})]},
        ]
    )
    changed = [body[:at] + bytes((new,)) + body[at + 1 :] for at in range(len(body)) for new in b'"\\,:.+-e[]{}07Nnx ' if body[at] != new]

    found = [outcome(batch_of, one) for one in changed]

    assert found == [outcome(plainly, one) for one in changed]
    assert 0 < sum(one is not None for one in found) < len(found) / 5


@pytest.mark.parametrize("blanks", [False, True])
def test_no_reply_that_is_cut_off_is_taken(blanks: bool) -> None:
    """Of every proper beginning of a reply, none gives a batch."""
    body = compact(
        [
            {"metric": {"__name__": "m", "a": ']]\\"\n{é'}, "values": [(second(T0), "1"), (second(T0 + 219), "NaN")]},
            {"metric": {}, "values": [("5", "-0")], "histograms": [(second(T0), HISTOGRAM)]},
            {"metric": {"__name__": "h"}, "histograms": [(second(T0), HISTOGRAM), (second(T0 + 1), HISTOGRAM)]},
        ],
        ',"warnings":["w"],"infos":["i"]',
    )
    body = json.dumps(json.loads(body), indent=1).encode() if blanks else body

    taken = [length for length in range(len(body)) if outcome(batch_of, body[:length]) is not None]

    assert taken == []
    assert outcome(batch_of, body) is not None


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [("1435781430.781", T0), ("1435781430", 1_435_781_430_000), ("1435781430.001", 1_435_781_430_001), ("1435781430.5", 1_435_781_430_500), ("1.010", 1010),
     ("0", 0), ("0.001", 1), ("-0.001", -1), ("-1435781430.781", -T0), ("-5", -5000), ("9007199254740.993", 9_007_199_254_740_993), ("1435781430.7810", T0)],
)  # fmt: skip
def test_times_are_exact(text: str, time_ms: int) -> None:
    """No time goes through a floating-point number: each is its milliseconds."""
    assert batch_of(reply_of((text, "1")), *ALL).batch.time_ms.tolist() == [time_ms]


@pytest.mark.parametrize(
    "text", ["1435781430.7815", "1e3", "01", "-01.500", "1.", ".5", "true", '"5"', "null", "1234567890123456", "NaN", "[]", ""]
)
def test_what_is_no_time_in_milliseconds_is_refused(text: str) -> None:
    """A time is never rounded."""
    with pytest.raises(MalformedReply):
        batch_of(reply_of((text, "1")), *ALL)


def test_values_are_bit_identical() -> None:
    """Negative zero, the smallest, the largest and both infinities arrive as they are; any NaN is the one that a server makes of a NaN, and not stale."""
    texts = ["-0", "5e-324", "1e-310", "1.7976931348623157e+308", "+Inf", "-Inf", "0.1", "1234567.1234567891", "NaN", "-NaN"]

    value = batch_of(reply_of(*((second(T0 + number), text) for number, text in enumerate(texts))), *ALL).batch.value

    expected = [-0.0, 5e-324, 1e-310, 1.7976931348623157e308, math.inf, -math.inf, 0.1, 1234567.1234567891]
    assert value[:-2].tobytes() == np.array(expected).tobytes()
    assert value[-2:].view(np.int64).tolist() == [NAN_BITS] * 2
    assert NAN_BITS != STALE_BITS


def test_samples_outside_the_window_are_left_out() -> None:
    """Both ends are in the window; a series of which nothing is left stays, with a count of 0."""
    series = [
        {"metric": {"a": "early"}, "values": [(second(T0 - 1), "1")]},
        {"metric": {"a": "both"}, "values": [(second(T0 + offset), str(offset)) for offset in range(-2, 8)]},
    ]

    batch = batch_of(compact(series), T0, T0 + 5).batch

    assert (batch.labels, batch.counts.tolist()) == (((("a", "early"),), (("a", "both"),)), [0, 6])
    assert (batch.time_ms - T0).tolist() == batch.value.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_time_twice_counts_once() -> None:
    """Times are put in order; of several samples at one time the first one in the reply counts, across parts of a series too."""
    pairs = [(second(T0 + offset), str(number)) for number, offset in enumerate([5, 3, 5, 4, 3])]
    series = [
        {"metric": {"a": "b"}, "values": pairs},
        {"metric": {"c": "d"}, "values": [("1435781430", "7")]},
        {"metric": {"a": "b"}, "values": [(second(T0 + 4), "8"), (second(T0 + 1), "9")]},
    ]

    batch = batch_of(compact(series), *ALL).batch

    assert (batch.labels, batch.counts.tolist(), batch.duplicates) == (((("a", "b"),), (("c", "d"),)), [4, 1], 3)
    assert batch.time_ms[:4].tolist() == [T0 + 1, T0 + 3, T0 + 4, T0 + 5]
    assert batch.value.tolist() == [9, 1, 3, 0, 7]


def test_histograms_are_counted_by_metric() -> None:
    """Samples that are histograms are left out; those in the window are counted, floats beside them are kept."""
    series = [
        {"metric": {"__name__": "h", "a": "1"}, "histograms": [(second(T0 + offset), HISTOGRAM) for offset in range(3)]},
        {
            "metric": {"__name__": "h", "a": "2"},
            "values": [(second(T0), "5")],
            "histograms": [(second(T0 + 1), {"count": "0", "sum": "0"})],
        },
        {"metric": {"a": "3"}, "histograms": [(second(T0), HISTOGRAM)]},
        {"metric": {"__name__": "late"}, "histograms": [(second(T0 + 9), HISTOGRAM)]},
    ]

    batch = batch_of(compact(series), T0, T0 + 1).batch

    assert dict(batch.histograms) == {"h": 3, "": 1}
    assert (batch.counts.tolist(), batch.value.tolist()) == ([0, 1, 0, 0], [5.0])


@pytest.mark.parametrize(
    "body", [compact([]), compact([], ',"warnings":[]'), json.dumps(json.loads(compact([])), indent=2).encode(), compact([]) + b"\n"]
)
def test_a_reply_without_series_is_an_empty_batch(body: bytes) -> None:
    """Nothing matched: that is an answer."""
    batch = batch_of(body, *ALL).batch

    assert (batch.labels, batch.counts.tolist(), batch.time_ms.tolist(), batch.value.tolist()) == ((), [], [], [])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_warnings_and_infos_are_passed_on(kind: Any) -> None:
    """They may stand before the data or after it."""
    after = compact([{"metric": {"a": "b"}, "values": [("5", "6")]}], ',"warnings":["w1","w2"],"infos":["i \\u00e9"]')
    before = b'{"infos":["i \xc3\xa9"],"warnings":["w1","w2"],' + compact([{"metric": {"a": "b"}, "values": [("5", "6")]}])[1:]

    replies = [batch_of(kind(body), *ALL) for body in (after, before)]

    assert [(one.warnings, one.infos, told(one)) for one in replies] == [
        (("w1", "w2"), ("i é",), ({(("a", "b"),): [(5000, struct.unpack("<q", struct.pack("<d", 6))[0])]}, 0, {}))
    ] * 2


def test_labels_are_in_order_of_their_names() -> None:
    """Whatever order the server has, and with the metric's name among them."""
    body = compact([{"metric": {"z": "1", "__name__": "m", "B": "2", "a": ""}, "values": [("5", "6")]}])

    assert batch_of(body, *ALL).batch.labels == ((("B", "2"), ("__name__", "m"), ("a", ""), ("z", "1")),)


def test_an_error_of_the_server_is_told_with_its_words() -> None:
    """Its kind and its message are kept."""
    with pytest.raises(ServerRefused) as refused:
        batch_of(b'{"status":"error","errorType":"execution","error":"query processing would load too many samples"}', *ALL)

    assert (refused.value.kind, refused.value.said) == ("execution", "query processing would load too many samples")


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b"5", b'"{}"', b"{}", b"<html></html>", b"\xff\xfe{}", b"\xef\xbb\xbf" + compact([]), b"[" * 100_000 + b"}",
        b'{"status":"success"}', b'{"status":"success","data":null}', b'{"status":"success","data":{"resultType":"matrix"}}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}', b'{"status":"success","data":{"resultType":"matrix","result":null}}',
        b'{"status":"success","data":{"resultType":"matrix","result":{}}}', b'{"status":"success","data":{"resultType":"matrix","result":[5]}}',
        b'{"status":"fine","data":{"resultType":"matrix","result":[]}}', compact([])[:-1] + b',"data":{"resultType":"matrix","result":[]}}',
        compact([], ',"warnings":"w"'), compact([], ',"stats":NaN'), compact([], ',"status":"error"'), compact([])[:-2] + b',"resultType":"vector"}}', compact([]) + b"}", compact([]) + compact([]),
        compact([{"metric": {"a": "b"}, "values": [("5", "6")]}]).replace(b'"b"', b"5"), compact([{"metric": {"a": "b"}, "values": [("5", "6")]}]).replace(b'"b"', b'"b","a":"c"'),
        compact([{"metric": {"a": "b"}, "values": [("5", "6")]}]).replace(b'"b"', b'"\\ud800"'), compact([{"metric": {"a": "b"}, "values": [("5", "6")]}]).replace(b'"b"', b'"\xed\xa0\x80"'),
        reply_of(("5", "6")).replace(b'"6"', b"6"), reply_of(("5", "6")).replace(b'"6"', b'"6","7"'), reply_of(("5", "6")).replace(b'"6"', b'"6"],[7'), reply_of(("5", "6")).replace(b'"6"', b"null"),
        compact([{"metric": {"a": "b"}, "histograms": [("5", HISTOGRAM)]}]).replace(b"[5,", b"["), compact([{"metric": {}, "histograms": [("5.0001", HISTOGRAM)]}]),
    ],
)  # fmt: skip
def test_what_is_no_matrix_is_refused(body: bytes) -> None:
    """Other documents, other kinds of result, keys that are there twice: none of them is half taken."""
    with pytest.raises(MalformedReply):
        batch_of(body, *ALL)


def test_pandas_is_not_needed() -> None:
    """Reading a reply imports no pandas."""
    program = f"import sys\nfrom tasks.telemetry.prometheus.range_json import batch_of\nprint(len(batch_of({reply_of(('5', '6'))!r}, 0, 9000).batch.value), 'pandas' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said == "1 False\n"


@dataclass(frozen=True)
class Server:
    """A real Prometheus, and what its own tool says is in it."""

    url: str
    dumped: dict[Labels, list[tuple[int, int]]]

    def reply(self, selector: str, start_ms: int, end_ms: int) -> bytes:
        """Its answer for a window."""
        query, at = window_query(parse_selector(selector), start_ms, end_ms)
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query, 'time': at})}", timeout=30) as reply:
            return reply.read()

    def held(self, start_ms: int, end_ms: int) -> dict[Labels, list[tuple[int, int]]]:
        """What is in it in a window."""
        found = {labels: [row for row in rows if start_ms <= row[0] <= end_ms] for labels, rows in self.dumped.items()}
        return {labels: rows for labels, rows in found.items() if rows}


FIXED = [
    -0.0,
    0.0,
    math.nan,
    math.inf,
    -math.inf,
    1e-310,
    5e-324,
    1e308,
    -1.7976931348623157e308,
    0.1,
    1 / 3,
    1e21,
    123456789012345680.0,
    1e-7,
    42.0,
]
WORDS = [
    "plain",
    "two\nlines",
    'a "quote"',
    "]]",
    '"]],["',
    "back\\slash\\",
    "}]]}",
    "é😀 \t",
    '{"metric":{},"values":[[1,"2"]]}',
    "\x01\x7f",
]


def history() -> str:
    """A few series in OpenMetrics: times with and without decimals, values of every kind, hostile labels."""

    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    lines = ["# TYPE m gauge"]
    for number, word in enumerate(WORDS):
        values = FIXED[number:] + FIXED[:number]
        lines += [
            f'm{{word="{escaped(word)}",n="{number}"}} {go(value)} {second(T0 + 219 + 500 * step + number)}'
            for step, value in enumerate(values)
        ]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prometheus over that history."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("prometheus or promtool is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history.txt").write_text(history())
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "history.txt", "data"], cwd=folder, check=True, capture_output=True
    )
    (folder / "data" / "wal").mkdir()  # without one there is nothing to dump, says promtool
    dump = subprocess.run(["promtool", "tsdb", "dump", "data"], cwd=folder, check=True, capture_output=True, text=True).stdout
    with bare_server(folder, "--storage.tsdb.retention.time=100y") as url:
        yield Server(url, _dumped(dump))


def _dumped(dump: str) -> dict[Labels, list[tuple[int, int]]]:
    found: dict[Labels, list[tuple[int, int]]] = {}
    for line in dump.strip().split("\n"):
        selector, value, at = line.rsplit(" ", 2)
        labels = tuple(sorted((one.name, one.value) for one in parse_selector(selector)))
        bits = NAN_BITS if value == "NaN" else struct.unpack("<q", struct.pack("<d", float(value)))[0]
        found.setdefault(labels, []).append((int(at), bits))
    return found


@pytest.mark.parametrize(
    ("start_ms", "end_ms"), [(T0, T0 + 10_000), (T0 + 1, T0 + 5_500), (T0 + 219, T0 + 219), (T0 + 719, T0 + 1_219), (T0 - 9_000, T0 + 218)]
)
def test_a_real_reply_is_what_the_database_holds(server: Server, start_ms: int, end_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window of a real Prometheus is read by the compact path alone, and is what ``promtool tsdb dump`` lists, bit for bit."""
    monkeypatch.setattr(range_json, "_any_json", None)

    series, duplicates, histograms = told(batch_of(server.reply("m", start_ms, end_ms), start_ms, end_ms))

    assert {labels: rows for labels, rows in series.items() if rows} == server.held(start_ms, end_ms)
    assert (duplicates, histograms) == (0, {})


def test_the_history_is_as_hostile_as_it_was_written(server: Server) -> None:
    """Every label and every kind of value reached the database, so the windows above are about them."""
    assert {dict(labels)["word"] for labels in server.dumped} == set(WORDS)
    assert all(
        {bits for _, bits in rows}
        == {NAN_BITS if math.isnan(one) else bits for one, bits in zip(FIXED, np.array(FIXED).view(np.int64).tolist(), strict=True)}
        for rows in server.dumped.values()
    )


def test_windows_of_a_real_server_meet_without_a_gap(server: Server) -> None:
    """Samples at the border of two windows are in one of them, once."""
    middle_ms = T0 + 3_000
    parts = [(T0, middle_ms), (middle_ms + 1, T0 + 10_000)]

    found = [told(batch_of(server.reply("{n!=''}", *part), *part))[0] for part in parts]

    assert {labels: found[0][labels] + found[1].get(labels, []) for labels in found[0]} == server.held(T0, T0 + 10_000)


def test_a_real_refusal_is_told_with_its_words(server: Server) -> None:
    """What a real Prometheus writes for a bad query is understood."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/api/v1/query?query=m[", timeout=30)

    with pytest.raises(ServerRefused) as told_us:
        batch_of(refused.value.read(), *ALL)
    assert told_us.value.kind == "bad_data"
    assert "parse error" in told_us.value.said
