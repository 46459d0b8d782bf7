"""Selectors are read as Prometheus reads them, written back exactly, and made into a question that covers the window."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tasks.base.errors import DocumentError
from tasks.telemetry.prometheus.selectors import Matcher, parse_selector, quoted, range_query, to_promql, window_query
from tests.telemetry.prometheus.conftest import bare_server

TEXT = st.text(st.sampled_from("ab\"'`\\\n\r\t{},=~!# \x00\x7f\ufffd\xa0é😀") | st.characters(exclude_categories=("Cs",)), max_size=12)
NAMES = st.sampled_from(["job", "__name__", "_", "on", "a.b", "päron", 'q"', " ", "5", "a:b"]) | TEXT.filter(bool)
MATCHERS = st.builds(Matcher, NAMES, st.sampled_from(["=", "!=", "=~", "!~"]), TEXT)
PIECES = st.sampled_from(
    ["up", "a:b", "on", "NaN", "offset", "_x", "{", "}", ",", "=", "!=", "=~", "!~", "!", "~", "[5m]", "(", ")", "@", " ", "\n", "\t", "\x0b",
     '"x"', "'y'", "`z`", '""', '".*"', '".+"', '"a|"', r'"\n"', r'"\x41"', r"'\''", r"'\"'", r'"\""', r'"\u00e9"', r'"\ud800"', r'"\377"', r'"\400"',
     r'"\q"', r'"\x4"', r'"\U00110000"', r"`\q`", '"\n"', "`\n`", '"\ufffd"', '"', "'", "`", "# c\n", "#", "job", "__name__", "0"]
)  # fmt: skip
QUOTED_NAME = re.compile(r"""[{,]([ \t\r\n]|#[^\r\n]*[\r\n])*["'`]""")
"""Where a string stands for a name, which 2.42 does not know; now and then what only looks like it."""
STRINGS = st.sampled_from(
    ['"x"', "'y'", "`z`", '""', '".*"', "'.+'", '"a|"', r'"\n\x41"', r"'\''", r'"\u00e9"', r'"\ud800"', "`\n`", '"\ufffd"']
)
CONDITIONS = st.tuples(
    st.sampled_from(["job", "by", "__name__", "a:b", '"up"']), st.sampled_from(["=", "!=", "=~", "!~", " = ", "=="]), STRINGS
)
SHAPED = st.builds(
    lambda metric, inside, end: f"{metric}{{{','.join(map(''.join, inside))}{end}}}",
    st.sampled_from(["", "", "up", "a:b", "by "]), st.lists(CONDITIONS | st.tuples(PIECES), max_size=4), st.sampled_from(["", "", ",", " # c\n"]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up", [("__name__", "=", "up")]),
        ("node:load:rate5m", [("__name__", "=", "node:load:rate5m")]),
        ("sum", [("__name__", "=", "sum")]),
        ('up{job="x"}', [("__name__", "=", "up"), ("job", "=", "x")]),
        ("up {}", [("__name__", "=", "up")]),
        ('{__name__=~"node_.*",mode!="idle"}', [("__name__", "=~", "node_.*"), ("mode", "!=", "idle")]),
        ("{a!~'b+',on=`c\\d`,}", [("a", "!~", "b+"), ("on", "=", "c\\d")]),
        ('# all\nup # of\r{ # these\n job = "x" , # one\n}#', [("__name__", "=", "up"), ("job", "=", "x")]),
        ('{"my.metric", "label.with.dots"="x"}', [("__name__", "=", "my.metric"), ("label.with.dots", "=", "x")]),
        ("{'a b'=~'c.',\"m\",}", [("a b", "=~", "c."), ("__name__", "=", "m")]),
        (r'{a="\a\b\f\n\r\t\v\\\""}', [("a", "=", '\a\b\f\n\r\t\v\\"')]),
        (r'{a="\x41\101\u00e9\U0001f600\xc3\xa9"}', [("a", "=", "AAé😀é")]),
        (r"""{a='\'"'}""", [("a", "=", "'\"")]),
        ("{a=`\n\"'\\n`}", [("a", "=", "\n\"'\\n")]),
        ("{end=`name`,string=`end`,operator=`{`}", [("end", "=", "name"), ("string", "=", "end"), ("operator", "=", "{")]),
    ],
)
def test_a_selector_is_read(text: str, expected: list[tuple[str, str, str]]) -> None:
    """Names, quotes, escapes, comments and trailing commas mean what they mean in PromQL."""
    matchers = parse_selector(text)

    assert [(one.name, one.op, one.value) for one in matchers] == expected


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("", "column 1", "expected a metric's name or '{', found the end"),
        ("5", "column 1", "expected a metric's name or '{', found '5'"),
        ("up[5m]", "column 3", "expected '{' or the end, found '['"),
        ("up{}[5m]", "column 5", "expected the end, found '['"),
        ("up offset 5m", "column 4", "expected '{' or the end, found 'offset'"),
        ("up end", "column 4", "expected '{' or the end, found 'end'"),
        ("up @ 5", "column 4", "expected '{' or the end, found '@'"),
        ("rate(up)", "column 5", "expected '{' or the end, found '('"),
        ("up{} up", "column 6", "expected the end, found 'up'"),
        ("up{", "column 4", "expected a label's name or '}', found the end"),
        ("up{,}", "column 4", "expected a label's name or '}', found ','"),
        ("{a='b',,}", "column 8", "expected a label's name or '}', found ','"),
        ("{a}", "column 3", "expected one of =, !=, =~, !~, found '}'"),
        ("{a==`b`}", "column 4", "expected a quoted string, found '='"),
        ("{a=string}", "column 4", "expected a quoted string, found 'string'"),
        ("{a='b' c='d'}", "column 8", "expected ',' or '}', found 'c'"),
        ("{a='b'", "column 7", "expected ',' or '}', found the end"),
        ("{a='b}", "column 4", "expected a quoted string, found a string that does not end"),
        ("up{\n a=\n \"b\nc\"}", "line 3, column 2", "a string that does not end"),
        ("{a:b='c'}", "column 3", "':' stands in no label's name unless that is quoted"),
        ("{''='c'}", "column 2", "a label's name is never empty"),
        (r"{a='b\q'}", "column 6", r"'\\q' is no escape sequence"),
        (r"{a='b\"'}", "column 6", "no escape sequence"),
        (r"{a='b\x4'}", "column 6", "no escape sequence"),
        (r"{a='\400'}", "column 5", "no escape sequence"),
        (r"{a='\ud800'}", "column 5", "no escape sequence"),
        (r"{a='\U00110000'}", "column 5", "no escape sequence"),
        (r"{a='\xff'}", "column 4", "not UTF-8"),
        ("{a='\ud800'}", "column 4", "not UTF-8"),
        ("{a='b\ufffd'}", "column 6", r"only as \ufffd"),
        ("On", "column 1", """'On' is a word of PromQL; as a metric's name it is written {__name__="On"}"""),
        ("up{'down'}", "column 1", "the metric's name is given twice, 'up' and 'down'"),
        ("{__name__='up',__name__='down'}", "column 1", "given twice"),
    ],
)  # fmt: skip
def test_what_is_no_selector_is_refused_by_column(text: str, where: str, why: str) -> None:
    """The message names the place and what belongs there, and what to type next."""
    with pytest.raises(DocumentError) as refused:
        parse_selector(text)

    assert f": {where}: " in refused.value.message
    assert why in refused.value.message
    assert refused.value.next_step


@pytest.mark.parametrize("text", ["{}", "{a=''}", "{a!='b'}", "{a=~'.*'}", "{a=~'b|'}", "{a!~'b'}", "{a='',b!='c'}", "{''}"])
def test_a_selector_of_every_series_is_refused(text: str) -> None:
    """As in Prometheus, one matcher at least must not match the empty string."""
    with pytest.raises(DocumentError, match="it would select every series"):
        parse_selector(text)


@pytest.mark.parametrize(
    "text", ["{a!=''}", "{a=~'.+'}", "{a!~''}", "{a!~'.*'}", "{b='',a='c'}", "{a=~'b{,2}'}", r"{a=~`\pL*`}", "{a=~'(?i)[[:alpha:]]'}"]
)
def test_a_selector_that_needs_a_label_is_taken(text: str) -> None:
    """One such matcher is enough; an expression that only RE2 can read is left to the server to judge."""
    matchers = parse_selector(text)

    assert matchers


@given(st.lists(MATCHERS, min_size=1, max_size=4))
@example([Matcher("a", "=", '"\\\n\x00\x7f\ufffd\ue000😀')])
def test_written_matchers_read_back(matchers: list[Matcher]) -> None:
    """Whatever stands in names and values, text and matchers are one thing."""
    assume(sum(one.name == "__name__" and one.op == "=" for one in matchers) < 2)
    particular = Matcher("particular", "=", "x")

    assert parse_selector(to_promql([*matchers, particular])) == (*matchers, particular)


@given(TEXT)
def test_written_strings_stay_in_one_line(text: str) -> None:
    """Nothing that a terminal would act on is left in the query."""
    written = quoted(text)

    assert written.isprintable()


@given(st.lists(PIECES, max_size=8).map("".join) | SHAPED)
def test_reading_refuses_or_gives_matchers(text: str) -> None:
    """No text ends in any other error; what is read can be written and read again."""
    try:
        matchers = parse_selector(text)
    except DocumentError:
        return

    assert parse_selector(to_promql(matchers)) == matchers


def test_a_range_is_asked_in_milliseconds() -> None:
    """The range stands behind the selector; none is below a millisecond."""
    assert range_query([Matcher("a", "=", "b")], 12_345) == '{a="b"}[12345ms]'
    with pytest.raises(ValueError, match="a range of 0 ms"):
        range_query([Matcher("a", "=", "b")], 0)


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "query", "at"),
    [
        (1_435_781_430_781, 1_435_781_430_781, "[1ms]", "1435781430.781"),
        (1_435_781_430_000, 1_435_781_439_999, "[10000ms]", "1435781439.999"),
        (0, 5, "[6ms]", "0.005"),
        (-2_000, -1_001, "[1000ms]", "-1.001"),
        (-2_000, -1, "[2000ms]", "-0.001"),
    ],
)
def test_a_window_is_asked_with_its_last_millisecond_as_time(start_ms: int, end_ms: int, query: str, at: str) -> None:
    """``time`` is the window's end to the millisecond, the range reaches below its start."""
    assert window_query([Matcher("a", "=", "b")], start_ms, end_ms) == ('{a="b"}' + query, at)


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**10))
def test_the_range_covers_the_window_with_both_ends_open(end_ms: int, length_ms: int) -> None:
    """(time - range, time], which is what 3.x answers for, is exactly the window; 2.x adds a millisecond before it."""
    query, at = window_query([Matcher("a", "=", "b")], end_ms - length_ms, end_ms)

    range_ms = int(query.partition("[")[2].removesuffix("ms]"))
    assert Fraction(at) * 1000 == end_ms
    assert end_ms - range_ms + 1 == end_ms - length_ms


def test_a_window_that_ends_before_it_starts_is_a_mistake() -> None:
    """There is no sample in it, and no range to ask for."""
    with pytest.raises(ValueError, match="a range of 0 ms"):
        window_query([Matcher("a", "=", "b")], 1, 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus without data."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    with bare_server(folder) as url:
        yield url


def asked(server: str, path: str, **query: str) -> dict[str, object]:
    """What the server says to it, be it good or bad."""
    try:
        with urllib.request.urlopen(f"{server}{path}?{urllib.parse.urlencode(query)}", timeout=30) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as refused:
        return json.loads(refused.read())


def taken(server: str, text: str) -> bool:
    return asked(server, "/api/v1/series", **{"match[]": text})["status"] == "success"


def refusal(text: str) -> str | None:
    """Why *text* is not taken here; None where it is."""
    try:
        parse_selector(text)
    except DocumentError as error:
        return error.message
    return None


@settings(deadline=None, max_examples=400)
@given(text=SHAPED | SHAPED | st.lists(PIECES, max_size=6).map("".join))
@example(text="{a=`\ufffd`}")
@example(text=r'{a="\ufffd"}')
@example(text="by{by=`b`,on!=''}#")
def test_the_server_takes_what_is_taken_here(server: str, text: str) -> None:
    """A real 2.42 and this module agree on what a selector is, but for what it does not know, or knows to be in vain."""
    assume(not QUOTED_NAME.search(text))
    why = refusal(text)
    assume(why is None or ("not UTF-8" not in why and "given twice" not in why))

    assert taken(server, text) == (why is None)
    assert why is not None or taken(server, to_promql(parse_selector(text)))


def test_the_server_takes_every_word_that_is_not_reserved(server: str) -> None:
    """Words of PromQL that may name a metric, and those that may not, are the server's."""
    words = ["and", "or", "unless", "atan2", "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk"]
    words += ["count_values", "quantile", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "start", "end"]
    words += ["inf", "nan", "Inf", "NaN", "ON", "info", "nano"]

    assert {word: refusal(word) is None for word in words} == {word: taken(server, word) for word in words}


@pytest.mark.parametrize("range_ms", [1, 999, 12_345, 600_000, 21_600_000, 31_536_000_123])
@pytest.mark.parametrize("end_ms", [1_435_781_430_781, 1_435_781_430_000, 5, -1_001])
def test_the_server_takes_windows(server: str, range_ms: int, end_ms: int) -> None:
    """Ranges in milliseconds and times with three decimals are read by 2.42, before 1970 too."""
    query, at = window_query(parse_selector(r'up{a="\x7f\n\\"}'), end_ms - range_ms + 1, end_ms)

    reply = asked(server, "/api/v1/query", query=query, time=at)

    assert reply == {"status": "success", "data": {"resultType": "matrix", "result": []}}
