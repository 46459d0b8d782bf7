"""YAML from a user: what values mean, where they stand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped
from tasks.base.yaml_source import _carefully, _quickly, _single, dotted, parse_source, parse_value, read_source, undotted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("22:30", "22:30"),
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("+3", 3),
        ("'3'", "3"),
        ('"no"', "no"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("[1, [a, {b: 2}]]", [1, ["a", {"b": 2}]]),
    ],
)
def test_values_mean_what_yaml_1_2_says(text, value):
    """Nothing becomes a date, a time of day, or false by surprise."""
    found = parse_value(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", [".inf", "-.INF", ".nan", "1e999", "9" * 31, "!!str 3", "&a [*a]", "{a: 1, a: 2}", "[1", "a: b: c", "\0", "--- 1\n--- 2"]
)
def test_a_value_that_is_refused_has_a_sentence(text):
    """A ValueError, whatever is wrong."""
    with pytest.raises(ValueError, match=r".+"):
        parse_value(text)


def test_every_value_has_its_place():
    """Lines and columns from 1, of keys and of list items."""
    found = parse_source(b"a: 1\nb:\n  - {c: 2}\n  - d\n", "x")

    assert found.marks == {("a",): (1, 1), ("b",): (2, 1), ("b", 0): (3, 5), ("b", 0, "c"): (3, 6), ("b", 1): (4, 5)}
    assert found.mark(("b", 1, "unknown", 3)) == (4, 5)
    assert found.mark(("nowhere",)) == (1, 1)


def test_mistakes_of_reading_can_be_kept_for_later():
    """The value there is None, and the rest is read on."""
    found = parse_source(b"a: .nan\nb: 2\n", "x", keep_mistakes=True)

    assert found.value == {"a": None, "b": 2}
    assert [(loc, mistake.text) for loc, mistake in found.wrong] == [(("a",), "must be a finite number, not .nan")]
    with pytest.raises(DocumentError):
        parse_source(b"a: .nan\nb: 2\n", "x")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="ab:-[]{},&*!|>'\"%@`?#\n\t 0.", max_size=60).map(str.encode)))
@example(b"? ")
@example(b"a: !<>")
@example(b"%YAML 9.9\n--- a")
@example(b"\xed\xa0\x80")
@example(b"- &\n")
def test_whatever_bytes_come_in_a_value_or_a_refusal_comes_out(raw):
    """No other error than the one with a sentence; and what is read is plain."""
    try:
        found = parse_source(raw, "fuzz")
    except DocumentError as error:
        assert "fuzz:" in error.message  # noqa: PT017 -- either end is right
        return
    assert isinstance(found.value, dict)


LOCS = st.lists(st.one_of(st.integers(0, 999), st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)), min_size=1, max_size=5)


@given(LOCS)
def test_a_path_is_read_as_it_is_shown(parts):
    """What a message calls a setting is what ``--set`` takes."""
    loc = ("top", *parts)

    assert undotted(dotted(loc)) == loc


def test_a_hostile_key_is_shown_in_one_short_line():
    """Line breaks, escapes and a thousand letters do not reach the terminal."""
    shown = dotted(("a\n\x1b[2J", "b" * 1000))

    assert "\n" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 200


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/proc/self/mem"])
def test_what_is_no_plain_file_is_not_read(name):
    """A device could be read for ever."""
    from pathlib import Path

    with pytest.raises(DocumentError):
        read_source(Path(name))


EVERY_FILE = sorted([*shipped("").rglob("*.yaml"), *(Path(__file__).parents[1] / "document" / "zoo").glob("*.yaml")])


def agree(text: str) -> None:
    """Where the quick parser gives an answer, it is the careful one's: values, places and mistakes."""
    found = _quickly(text, _single)
    if found is None:
        return
    ((quick, value),), ((careful, wanted),) = found, _carefully(text, "x.yaml", "experiment", _single)
    assert value == wanted
    assert quick.marks == careful.marks
    assert quick.wrong == careful.wrong


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: path.name)
def test_both_parsers_read_a_file_alike(path):
    """Shipped documents and bad ones; one that is not UTF-8 is read by neither."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return
    agree(text)


@given(
    st.lists(st.sampled_from(["a: 1", "b: no", "- x", "  c: [1, 2]", "  - {d: e}", "# f", "'g': \"h\"", "i: |", "  text", ""]), max_size=8)
)
def test_both_parsers_read_lines_alike(lines):
    """Whatever the lines say together."""
    text = "\n".join(lines)
    try:
        agree(text)
    except DocumentError:
        pytest.fail(f"only the quick parser reads {text!r}")
