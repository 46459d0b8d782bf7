"""
Series selectors, as ``match[]`` of Prometheus takes them: read, written back, and made into the question for a window of time.

Read is what Prometheus 2.42 reads, and the quoted names of 3.x besides; refused are ranges, offsets, ``@`` and functions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn, cast

from tasks.base.errors import DocumentError

Operator = Literal["=", "!=", "=~", "!~"]
NAME = "__name__"
RESERVED = frozenset({"atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"})
"""Words, in any case, that PromQL does not take for the name of a metric unless they are quoted."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+|\#[^\r\n]*)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|`[^`]*+`)
    |(?P<operator>=~|!~|!=|=)
    |(?P<mark>[{},])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r"[^\\]+|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a series without that label has the empty string for it."""

    name: str
    """Of the label; ``__name__`` for the metric."""
    op: Operator
    value: str
    """Compared whole; a regular expression (RE2) with ``=~`` and ``!~``."""

    def matches_empty(self) -> bool | None:
        """Whether series without the label match; None where only the server can tell."""
        if self.op in ("=", "!="):
            return (self.value == "") == (self.op == "=")
        found = _empty_fits(self.value)
        return None if found is None else found == (self.op == "=~")


def _empty_fits(pattern: str) -> bool | None:
    if "{," in pattern:  # RE2 takes it literally, Python from zero on
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.fullmatch(pattern, "") is not None
    except (re.error, RecursionError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """Name of its group in the pattern, the mark itself, or ``end``."""
    text: str
    at: int


@dataclass(slots=True)
class _Reader:
    """Tokens of a selector, one after the other; every complaint names the column."""

    text: str
    tokens: list[_Token] = field(default_factory=list)
    next: int = 0

    def take(self, *wanted: str) -> _Token | None:
        """The next token where its kind is *wanted*; None, and it stays, otherwise."""
        token = self.tokens[self.next]
        if token.kind not in wanted:
            return None
        self.next += 1
        return token

    def want(self, expected: str, *wanted: str) -> _Token:
        """The next token, which must be as *wanted*."""
        return self.take(*wanted) or self.refuse(self.tokens[self.next].at, f"expected {expected}, found {self._found()}")

    def _found(self) -> str:
        token = self.tokens[self.next]
        if token.kind == "other" and token.text in "\"'`":
            return "a string that does not end"
        return "the end" if token.kind == "end" else repr(token.text[:40])

    def refuse(self, at: int, why: str) -> NoReturn:
        """Say what is wrong at position *at*."""
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        where = f"column {column}" if line == 1 else f"line {line}, column {column}"
        raise DocumentError(f"{self.text[:200]!r} is not a selector: {where}: {why}", next_step='write it like up or up{job="api"}')


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """
    The matchers of a selector such as ``up``, ``up{job="x"}`` or ``{__name__=~"node_.*"}``; a metric's name comes first.

    Raises:
        DocumentError: It is none, or it would select every series; the message says where and what was expected.
    """
    reader = _Reader(text)
    reader.tokens += _tokens(text)
    metric = reader.take("name")
    found = [] if metric is None else [_metric(reader, metric)]
    opened = "a metric's name or '{'" if metric is None else "'{' or the end"
    if metric is None or reader.tokens[reader.next].kind != "end":
        reader.want(opened, "{")
        found += _inside(reader)
    reader.want("the end", "end")
    _check(reader, found)
    return tuple(found)


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield _Token(match[0] if match.lastgroup == "mark" else str(match.lastgroup), match[0], match.start())
    yield _Token("end", "", len(text))


def _metric(reader: _Reader, token: _Token) -> Matcher:
    if token.text.lower() in RESERVED:
        reader.refuse(token.at, f"{token.text!r} is a word of PromQL; as a metric's name it is written {{{NAME}={quoted(token.text)}}}")
    return Matcher(NAME, "=", token.text)


def _inside(reader: _Reader) -> Iterator[Matcher]:
    while reader.take("}") is None:
        yield _matcher(reader)
        if reader.take(",") is None:
            reader.want("',' or '}'", "}")
            return


def _matcher(reader: _Reader) -> Matcher:
    name = reader.want("a label's name or '}'", "name", "string")
    label = name.text if name.kind == "name" else _unquoted(reader, name)
    if name.kind == "name" and not _LABEL.fullmatch(label):
        reader.refuse(name.at + label.index(":"), "':' stands in no label's name unless that is quoted")
    if name.kind == "string" and reader.tokens[reader.next].kind in (",", "}"):
        return Matcher(NAME, "=", label)
    if not label:
        reader.refuse(name.at, "a label's name is never empty")
    operator = reader.want("one of =, !=, =~, !~", "operator")
    value = reader.want("a quoted string", "string")
    return Matcher(label, cast("Operator", operator.text), _unquoted(reader, value))


def _unquoted(reader: _Reader, token: _Token) -> str:
    inner = token.text[1:-1]
    if (odd := inner.find("\ufffd")) >= 0:
        reader.refuse(token.at + 1 + odd, r"PromQL takes this character only as \ufffd")
    if token.text[0] == "`":
        raw = inner.encode("utf-8", "surrogatepass")
    else:
        raw = b"".join(_part(reader, token, match) for match in _PART.finditer(inner))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        reader.refuse(token.at, "this string is not UTF-8, so no label has it")


def _part(reader: _Reader, token: _Token, match: re.Match[str]) -> bytes:
    part, code = match[0], match[0][1:]
    if part[0] != "\\":
        return part.encode("utf-8", "surrogatepass")
    if code in _CONTROLS or code == token.text[0]:
        return _CONTROLS.get(code, code).encode()
    kind, number = code[0], 1 << 31
    if len(code) > 1:
        number = int(code, 8) if kind.isdigit() else int(code[1:], 16)
    if number < 256 and (kind == "x" or kind.isdigit()):
        return bytes((number,))
    if kind not in "uU" or number > 0x10FFFF or 0xD800 <= number < 0xE000:
        reader.refuse(token.at + 1 + match.start(), f"{part!r} is no escape sequence that PromQL knows")
    return chr(number).encode()


def _check(reader: _Reader, found: Sequence[Matcher]) -> None:
    names = [one for one in found if one.name == NAME and one.op == "="]
    if len(names) > 1:
        reader.refuse(0, f"the metric's name is given twice, {names[0].value!r} and {names[1].value!r}")
    if all(one.matches_empty() for one in found):
        reader.refuse(0, "it would select every series: at least one condition must not hold for the empty string")


def quoted(text: str) -> str:
    """*text* as a string of PromQL in double quotes."""
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter == "\n":
        return r"\n"
    if letter.isprintable() and letter != "\ufffd":
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def to_promql(matchers: Sequence[Matcher]) -> str:
    """
    The selector as text; :func:`parse_selector` gives *matchers* back.

    Names of labels that are no classic identifiers are quoted, which Prometheus reads from 3.0 on; all else suits 2.42 too.
    """
    return "{" + ",".join(f"{_name(one.name)}{one.op}{quoted(one.value)}" for one in matchers) + "}"


def _name(name: str) -> str:
    return name if _LABEL.fullmatch(name) else quoted(name)


def range_query(matchers: Sequence[Matcher], range_ms: int) -> str:
    """
    The query for all samples of the last *range_ms*.

    Raises:
        ValueError: *range_ms* is below 1.
    """
    if range_ms < 1:
        raise ValueError(f"a range of {range_ms} ms")
    return f"{to_promql(matchers)}[{range_ms}ms]"


def window_query(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> tuple[str, str]:
    """
    Query and ``time`` that cover every sample in [*start_ms*, *end_ms*].

    Prometheus 2.x answers for [time - range, time], 3.x for (time - range, time]; so the range is a millisecond longer than the
    window, and 2.x may answer with samples of the millisecond before *start_ms*, to be left out.

    Raises:
        ValueError: *end_ms* is before *start_ms*.
    """
    sign, (seconds, thousandths) = "-" if end_ms < 0 else "", divmod(abs(end_ms), 1000)
    return range_query(matchers, end_ms - start_ms + 1), f"{sign}{seconds}.{thousandths:03d}"
