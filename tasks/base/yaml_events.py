"""
From the events of a YAML file to plain values: one pass that stops at the first sign of a bomb.

Scalars follow the core schema of YAML 1.2: ``no``, ``22:30`` and ``2026-11-24`` are text. Nothing here makes an object
of anything but dict, list, text, number, true, false and null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

LIMIT_DEPTH = 40
LIMIT_VALUES = 5_000
LIMIT_DIGITS = 30

Loc = tuple[str | int, ...]
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class TooMuch(Exception):
    """The file nests too deep or holds too much; reading ends here. What was found until then stands in the composer."""


@dataclass(slots=True)
class Composer:
    """Builds values from *events* (of ruamel's parser); notes where each one is, and what is wrong."""

    events: Iterator[Any]
    marks: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    """(line, column), from 1, of each key and list item."""
    wrong: list[tuple[int, int, Loc, str]] = field(default_factory=list)
    """Line, column, path and sentence of each mistake."""
    values: int = 0
    meaning: Callable[[str], Any] | None = None
    """What a plain scalar means; None: :func:`resolved`. Raises ValueError with a sentence where it means nothing good."""

    def document(self) -> Any:
        """The value of the only document; None when there is none."""
        result: Any = None
        documents = 0
        for event in self.events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._directives(event)
                    self._note(event, (), "a second document; one file holds one")
                    return result
                result = self.content(event)
        return result

    def content(self, start: Any) -> Any:
        """The value of the document that the event *start* begins."""
        self._directives(start)
        return self._value(next(self.events), (), 0)

    def _directives(self, start: Any) -> None:
        if start.version is not None or start.tags:
            self._note(start, (), "a directive (%...); leave it out")

    def _note(self, event: Any, loc: Loc, text: str) -> None:
        self.wrong.append((*_place(event), loc, text))

    def _value(self, event: Any, loc: Loc, depth: int) -> Any:
        self.values += 1
        if depth > LIMIT_DEPTH:
            self._note(event, loc[:3], f"nested deeper than {LIMIT_DEPTH} levels")
            raise TooMuch
        if self.values > LIMIT_VALUES:
            self._note(event, loc[:3], f"more than {LIMIT_VALUES:,} values in one file")
            raise TooMuch
        kind = type(event).__name__
        if kind == "AliasEvent":
            self._note(event, loc, "an alias (*name); write the value out")
            return None
        if event.tag is not None:
            self._note(event, loc, f"the tag {_shown_tag(event.tag)} is not allowed; write a plain value")
        if kind == "MappingStartEvent":
            return self._mapping(loc, depth)
        if kind == "SequenceStartEvent":
            return self._sequence(loc, depth)
        return self._scalar(event, loc)

    def _sequence(self, loc: Loc, depth: int) -> list[Any]:
        result: list[Any] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            here = (*loc, len(result))
            self.marks[here] = _place(event)
            result.append(self._value(event, here, depth + 1))
        return result

    def _mapping(self, loc: Loc, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            key = self._value(event, loc, depth + 1)
            if not isinstance(key, str):
                if type(event).__name__ != "AliasEvent":
                    self._note(event, loc, "a key must be text, in quotes where it looks like anything else")
                self._value(next(self.events), loc, depth + 1)
                continue
            here = (*loc, key)
            if key == "<<" and event.style in (None, ""):
                self._note(event, loc, "a merge (<<); write the settings out")
                self._value(next(self.events), loc, depth + 1)
                continue
            if key in result:
                self._note(event, here, f"given twice; it stands in line {self.marks[here][0]} already")
                self._value(next(self.events), here, depth + 1)
                continue
            self.marks[here] = _place(event)
            result[key] = self._value(next(self.events), here, depth + 1)
        return result

    def _scalar(self, event: Any, loc: Loc) -> Any:
        text = str(event.value)
        if "\0" in text:
            self._note(event, loc, "contains a NUL character")
            return None
        if event.style not in (None, "") or event.tag is not None:
            return text
        try:
            return (self.meaning or resolved)(text)
        except ValueError as error:
            self._note(event, loc, str(error))
            return None


def resolved(text: str) -> Any:
    """
    What the plain scalar *text* means.

    Raises:
        ValueError: It is a number that is not finite or has more than 30 digits; the message is a sentence.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"must be a finite number, not {text}")
    if _INT.fullmatch(text):
        if len(text) > LIMIT_DIGITS:
            raise ValueError(f"a number of more than {LIMIT_DIGITS} digits")
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"must be a finite number, not {text[:40]}")
        return value
    return text


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _shown_tag(tag: object) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")[:80]
