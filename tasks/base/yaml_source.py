"""
YAML from a user: plain values with the place each one came from, and every mistake at once.

YAML 1.2 (``no`` is text, ``22:30`` and ``2026-11-24`` are text). Refused: tags, aliases, duplicate keys, directives, several
documents, byte order marks, control characters, more than 128 KiB, more than 5,000 values, more than 40 levels. Nothing in a
file can run code or grow in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from tasks.base.errors import DocumentError
from tasks.base.yaml_events import LIMIT_DEPTH, Composer, Loc, TooMuch

LIMIT_BYTES = 128 << 10
LIMIT_SHOWN = 100
"""Mistakes that are listed one by one; of more, only their number is told."""
_STAIRS = re.compile(rf"(?:[\[{{]\s*){{{LIMIT_DEPTH + 1}}}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong: where (1-based line and column), at which setting, and what."""

    line: int
    column: int
    setting: str
    text: str
    origin: str = ""
    """Where it came from when that is not a line of the file: ``--set load.users.users=-1``."""

    def render(self, source: str) -> str:
        """``file:line:column: setting: text``."""
        place = self.origin or f"{source}:{self.line}:{self.column}"
        return f"{place}: " + (f"{self.setting}: " if self.setting else "") + self.text


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file: plain values, and the (line, column) of each key or list item by its path."""

    name: str
    value: Any
    marks: Mapping[Loc, tuple[int, int]]
    origins: Mapping[Loc, str] = field(default_factory=dict)
    """What was put in from elsewhere (``--set ...``), by its path."""
    wrong: tuple[tuple[Loc, Mistake], ...] = ()
    """Mistakes of reading, by path; the value there is None. Empty unless they were asked to be kept."""

    def mark(self, loc: Loc) -> tuple[int, int]:
        """The place of *loc*, or of its nearest parent that is in the file."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        return self.marks.get(loc, (1, 1))

    def mistake(self, loc: Loc, text: str) -> Mistake:
        """That *loc* is wrong, with its place."""
        origin = next((self.origins[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in self.origins), "")
        return Mistake(*self.mark(loc), dotted(loc), text, origin)


def dotted(loc: Sequence[str | int]) -> str:
    """``("faults", "trials", 2, "kind")`` as ``faults.trials[2].kind``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" if text else _printable(part)
    return text


def _printable(part: str) -> str:
    plain = part if part.isprintable() else repr(part)
    return plain if len(plain) <= 60 else plain[:57] + "..."


def undotted(text: str) -> Loc:
    """The path of ``faults.trials[2].kind`` (or ``faults.trials.2.kind``)."""
    parts = re.sub(r"\[(\d{1,6})\]", r".\1", text).split(".")
    return tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 7 else part for part in parts)


def refuse(source: str, mistakes: Sequence[Mistake], what: str = "experiment") -> DocumentError:
    """The one error that lists all *mistakes*, in the order of the file; ``details`` holds them as values."""
    found = sorted(set(mistakes))
    lines = [f"{source} is not a valid {what}:", *(f"  {mistake.render(source)}" for mistake in found[:LIMIT_SHOWN])]
    if len(found) > LIMIT_SHOWN:
        lines.append(f"  and {len(found) - LIMIT_SHOWN:,} more")
    place = "what --set says" if all(mistake.origin for mistake in found) else "the line above" if len(found) == 1 else "the lines above"
    error = DocumentError("\n".join(lines), next_step=f"mend {place}, then: tidegauge check {quote(source)}")
    error.details = {
        "file": source,
        "mistakes": [
            {"line": None, "column": None, "setting": one.setting, "text": one.text, "origin": one.origin}
            if one.origin
            else {"line": one.line, "column": one.column, "setting": one.setting, "text": one.text, "origin": None}
            for one in found[:LIMIT_SHOWN]
        ],
    }
    return error


def read_source(path: Path, *, what: str = "experiment", keep_mistakes: bool = False) -> Source:
    """
    Parse the file at *path*.

    Args:
        path: The file.
        what: What it should be, for the message.
        keep_mistakes: Hand back values that were refused as ``Source.wrong``, so that the caller can add its own; a file that
            cannot be parsed at all is refused anyway.

    Raises:
        DocumentError: It cannot be read or is refused; all mistakes are listed.
    """
    name = str(path)
    try:
        if not path.is_file():
            there = "is a folder, not a file" if path.is_dir() else "is not there"
            raise DocumentError(f"{name} {there}", next_step="tidegauge init writes one to start from")
        if (size := path.stat().st_size) > LIMIT_BYTES:
            raise refuse(name, [Mistake(1, 1, "", f"{size:,} bytes; a document has at most {LIMIT_BYTES:,}")], what)
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DocumentError(f"cannot read {name!r}: {getattr(error, 'strerror', None) or error}") from error
    return parse_source(raw, name, what=what, keep_mistakes=keep_mistakes)


def parse_source(raw: bytes, name: str, *, what: str = "experiment", keep_mistakes: bool = False) -> Source:
    """
    Parse *raw* (UTF-8); *name* stands before each mistake.

    Raises:
        DocumentError: It is refused; all mistakes are listed.
    """
    ((composer, value),) = _composed(_text(raw, name, what), name, what, _single)
    wrong = list(_wrong(composer))
    if not isinstance(value, dict):
        found = "is empty" if value is None else "must be a mapping of settings, not a list" if isinstance(value, list) else ""
        wrong.append(((), Mistake(1, 1, "", found or "must be a mapping of settings, not a bare value")))
    if wrong and not (keep_mistakes and isinstance(value, dict)):
        raise refuse(name, [mistake for _, mistake in wrong], what)
    return Source(name, value, composer.marks, {}, tuple(wrong))


def parse_stream(raw: bytes, name: str, *, what: str, meaning: Callable[[str], Any]) -> list[Source]:
    """
    Parse *raw* (UTF-8), which may hold any number of documents of any kind; empty ones are left out.

    Args:
        raw: The bytes; the caller limits their number.
        name: Stands before each mistake.
        what: What it should be, for the message.
        meaning: What a plain scalar means; raises ValueError with a sentence where it is refused.

    Raises:
        DocumentError: It cannot be parsed. What was refused in it otherwise is in ``Source.wrong``.
    """
    found = _composed(_text(raw, name, what), name, what, lambda events, made: _several(events, made, meaning))
    return [Source(name, value, composer.marks, {}, _wrong(composer)) for composer, value in found if value is not None or composer.wrong]


def parse_value(text: str) -> Any:
    """
    The YAML value *text*, of any kind.

    Raises:
        ValueError: It is refused; the message is a sentence.
    """
    try:
        ((composer, value),) = _composed(_text(text.encode(), "", ""), "", "", _single)
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    except DocumentError as error:
        raise ValueError(error.details["mistakes"][0]["text"]) from error
    if composer.wrong:
        raise ValueError("; ".join(text for *_, text in composer.wrong))
    return value


def _text(raw: bytes, name: str, what: str) -> str:
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise refuse(name, [Mistake(1, 1, "", "starts with a byte order mark; save it as UTF-8 without one")], what)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise refuse(name, [Mistake(*place, "", f"the byte 0x{raw[error.start]:02x} is not UTF-8")], what) from error
    if found := _STAIRS.search(text):  # the parser would look at every bracket before it says how deep they go
        raise refuse(name, [Mistake(*_place(text, found.start()), "", f"nested deeper than {LIMIT_DEPTH} levels")], what)
    if found := _CONTROL.search(text):
        place = _place(text, found.start())
        title = "a NUL character" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
        raise refuse(name, [Mistake(*place, "", f"{title}; a document is text")], what)
    return text


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1, of the character at *position*."""
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


_ONLY_CAREFULLY = re.compile("(?m)^%|[\x85\u2028\u2029]")
"""Directives, and line breaks of YAML 1.1 that are none in 1.2."""


Composed = list[tuple[Composer, Any]]
Compose = Callable[[Iterator[Any], list[Composer]], Composed]
"""From events to documents; each composer is added to the list before it begins, so that its notes outlive a failure."""


def _wrong(composer: Composer) -> tuple[tuple[Loc, Mistake], ...]:
    return tuple((loc, Mistake(line, column, dotted(loc), text)) for line, column, loc, text in composer.wrong)


def _single(events: Iterator[Any], made: list[Composer]) -> Composed:
    """The only document."""
    made.append(Composer(events))
    return [(made[-1], made[-1].document())]


def _several(events: Iterator[Any], made: list[Composer], meaning: Callable[[str], Any]) -> Composed:
    """Every document, each by a composer of its own."""
    found = []
    for event in events:
        if type(event).__name__ == "DocumentStartEvent":
            made.append(Composer(events, meaning=meaning))
            found.append((made[-1], made[-1].content(event)))
    return found


def _composed(text: str, name: str, what: str, compose: Compose) -> Composed:
    found = _quickly(text, compose)
    return _carefully(text, name, what, compose) if found is None else found


def _quickly(text: str, compose: Compose) -> Composed | None:
    """By libyaml, ten times as fast; None where it is not there, or stops: the other parser says what is wrong."""
    import yaml  # type: ignore[import-untyped]  # it has no types, and one call does not want a package of stubs

    if not yaml.__with_libyaml__ or _ONLY_CAREFULLY.search(text):
        return None
    try:
        return compose(iter(yaml.parse(text, Loader=yaml.CSafeLoader)), [])
    except (TooMuch, yaml.YAMLError, ValueError):
        return None


def _carefully(text: str, name: str, what: str, compose: Compose) -> Composed:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    made: list[Composer] = []
    try:
        return compose(iter(YAML(typ="safe", pure=True).parse(text)), made)
    except TooMuch:
        line, column, loc, sentence = made[-1].wrong[-1]
        mistakes = [Mistake(line, column, dotted(loc), sentence)]
        raise refuse(name, mistakes, what) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        known = [Mistake(row, col, dotted(loc), sentence) for composer in made for row, col, loc, sentence in composer.wrong]
        raise refuse(name, [*known, Mistake(line, column, "", _syntax(text, line, error))], what) from error
    except Exception as error:  # the parser itself gave up on hostile text
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise refuse(name, [Mistake(1, 1, "", f"not YAML: {reason}")], what) from error


def _syntax(text: str, line: int, error: Any) -> str:
    """The parser's complaint, and in plain words what it mostly means."""
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    problem = str(error.problem or error.context or "")
    if "\t" in here[: len(here) - len(here.lstrip())] or "'\\t'" in problem:
        return "a tab; indent with spaces"
    hint = ""
    if "mapping values are not allowed" in problem:
        hint = "; text with a colon in it needs quotes, and settings of one section start in the same column"
    elif "expected <block end>" in problem or "could not find expected ':'" in problem:
        hint = "; settings of one section start in the same column, each with a colon and a space after it"
    elif "expected ',' or" in problem:
        hint = "; a bracket or brace is not closed"
    elif "found unexpected end of stream" in problem:
        hint = "; a quote is not closed"
    return f"not YAML: {problem}{hint}"
