"""The fast parser gives what the reference parser gives, on the first reply and on every later one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tasks.telemetry.exposition import ExpositionError, ExpositionParser, without_exemplar

Row = tuple[str, tuple[tuple[str, str], ...], str, int | None]


class Names:
    """Numbers names and labels, and tells them again."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def number(self, name: str, labels: dict[str, str]) -> int:
        """The number of *name* with *labels*."""
        return self.all.setdefault((name, tuple(sorted(labels.items()))), len(self.all))


def parsed(parser: ExpositionParser, names: Names, text: str) -> list[Row]:
    exposed = parser.parse(text)
    identities = list(names.all)
    return [
        (*identities[number], repr(value), exposed.stamps_ms.get(index))
        for index, (number, value) in enumerate(zip(exposed.numbers, exposed.values, strict=True))
    ]


def reference(text: str) -> list[Row]:
    return [
        (
            sample.name,
            tuple(sorted(sample.labels.items())),
            repr(float(sample.value)),
            None if sample.timestamp is None else round(sample.timestamp * 1000),
        )
        for line in text.split("\n")
        for family in text_string_to_metric_families(line)
        for sample in family.samples
    ]


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABELS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}", fullmatch=True)
HOSTILE = st.text(st.sampled_from('"\\\n,{}=# \t\r5ae\x85\u2028é') | st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.floats() | st.integers(-(10**20), 10**20)
STAMPS = st.none() | st.integers(-(10**6), 4 * 10**12)


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@st.composite
def lines(draw: st.DrawFn) -> str:
    labels = draw(st.dictionaries(LABELS, HOSTILE, max_size=3))
    comma = draw(st.sampled_from([",", ", ", " , "]))
    inner = comma.join(f'{key}="{escaped(value)}"' for key, value in labels.items())
    braces = "{" + inner + draw(st.sampled_from(["", ","] if labels else [""])) + "}" if labels or draw(st.booleans()) else ""
    value, stamp = draw(VALUES), draw(STAMPS)
    number = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value).replace("nan", draw(st.sampled_from(["NaN", "nan"]))))
    gap = draw(st.sampled_from([" ", " ", " ", "  ", "\t"]))
    after = "" if stamp is None else f" {stamp}"
    return draw(st.sampled_from(["", "", " "])) + draw(NAMES) + braces + gap + number + after + draw(st.sampled_from(["", "", " ", "\r"]))


PAGES = st.lists(lines() | st.sampled_from(["", "# HELP a b\\n", "# TYPE a counter", "# a comment", "#"]), max_size=12).map("\n".join)


@settings(deadline=None)
@given(st.lists(PAGES, min_size=1, max_size=4))
def test_every_reply_reads_as_the_reference_reads_it(pages: list[str]) -> None:
    """Whatever earlier replies taught the parser, a reply gives the reference's samples, in its order, bit for bit."""
    names = Names()
    parser = ExpositionParser(names.number)

    results = [parsed(parser, names, page) for page in [*pages, *pages]]

    assert results == [reference(page) for page in [*pages, *pages]]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('ab{}"=, \\#_51.\t\n'), max_size=25), min_size=1, max_size=3))
def test_nonsense_is_refused_where_the_reference_refuses_it(pages: list[str]) -> None:
    """A line that the reference cannot read fails the whole reply; one that it can read is read the same."""
    names = Names()
    parser = ExpositionParser(names.number)
    parsed(parser, names, 'a 1\nab{a="b"} 1\nb{} 1\na{b="a"} 5\n')

    for page in pages:
        without = "\n".join(line for line in page.split("\n") if " # {" not in line)
        try:
            expected: list[Row] | None = reference(without)
        except (ValueError, IndexError):
            expected = None
        try:
            found: list[Row] | None = parsed(parser, names, without)
        except ExpositionError:
            found = None
        assert found == expected


def test_known_series_are_looked_up_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second reply on, plain lines never reach the reference parser."""
    names = Names()
    parser = ExpositionParser(names.number)
    page = '# HELP a text\na{b="c d",e="}"} {}\nplain {}\nstamped {} 1700000000000\n'
    parsed(parser, names, page.replace("{}", "1"))
    monkeypatch.setattr("tasks.telemetry.exposition.text_string_to_metric_families", None)

    rows = parsed(parser, names, page.replace("{}", "2"))

    assert [(row[0], row[2], row[3]) for row in rows] == [("a", "2.0", None), ("plain", "2.0", None), ("stamped", "2.0", 1_700_000_000_000)]


def test_a_space_before_the_braces_never_names_another_series() -> None:
    """``x {a="b"} 5`` is x with a label; a later ``x 5`` is x without one."""
    names = Names()
    parser = ExpositionParser(names.number)

    first, second = parsed(parser, names, 'x {a="b"} 5'), parsed(parser, names, 'x 6\nx {a="b"}7\nx {a="b"} 8')

    assert [row[1] for row in [*first, *second]] == [(("a", "b"),), (), (("a", "b"),), (("a", "b"),)]


@pytest.mark.parametrize("name", ["a_bucket", 'a_bucket{le="1"}', 'a_bucket{le=" # {"}'])
def test_exemplars_are_skipped(name: str) -> None:
    """What stands behind `` # {`` is neither value nor time; inside a label's value it is just text."""
    names = Names()
    parser = ExpositionParser(names.number)

    rows = parsed(parser, names, f'{name} 5 # {{trace_id="q\\"}}"}} 0.7\n{name} 6 1700000000000 # {{trace_id="r"}} 0.7 1600\n')

    assert [(row[2], row[3]) for row in rows] == [("5.0", None), ("6.0", 1_700_000_000_000)]
    assert without_exemplar('# HELP a b # {c="d"} 1') == '# HELP a b # {c="d"} 1'


def test_openmetrics_times_are_seconds() -> None:
    """The same digits mean milliseconds in the text format and seconds in OpenMetrics."""
    parser = ExpositionParser(Names().number)

    stamps = [
        parser.parse(text, stamps_in_seconds=seconds).stamps_ms for text, seconds in (("a 1 1700000000.5\n# EOF", True), ("a 1 170", False))
    ]

    assert stamps == [{0: 1_700_000_000_500}, {0: 170}]


@pytest.mark.parametrize(
    "line", ["a", "a b", 'a{b="c} 1', "a{b=c} 1", "1a 2", "a 1_000", 'a{b="c",b="d"} 1', "a 1 NaN", "# TYPE a", "<html>"]
)
def test_a_malformed_line_fails_the_reply(line: str) -> None:
    """No sample of a reply with a malformed line is used, and the line is named; the next good reply is read again."""
    names = Names()
    parser = ExpositionParser(names.number)
    parsed(parser, names, "a 1\ngood 1")

    with pytest.raises(ExpositionError, match="malformed line"):
        parser.parse(f"good 2\n{line}")

    assert parsed(parser, names, "good 3") == [("good", (), "3.0", None)]
