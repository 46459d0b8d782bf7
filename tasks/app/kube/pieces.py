"""From YAML text to Kubernetes objects, each with its place. Strict: what kubectl and other readers take differently is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.app.kube.kinds import inner
from tasks.base.errors import DocumentError
from tasks.base.yaml_events import Loc, resolved
from tasks.base.yaml_source import LIMIT_SHOWN, Mistake, Source, dotted, parse_stream

LIMIT_BYTES = 4 << 20
"""Of one file."""
WHAT = "manifest"
_OCTAL = re.compile(r"([-+]?)0([0-7]+)")
_BOOLEANS = frozenset(["y", "yes", "on", "n", "no", "off"])
_ELSEWHERE_A_NUMBER = re.compile(r"[-+]?(0b[01_]+|0[xo]?[0-9a-fA-F_]*_[0-9a-fA-F_]*|[1-9][0-9]*(_[0-9]+)+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """One object of a manifest."""

    source: Source
    """The document that it stands in."""
    loc: Loc
    """Its path in that document: empty, or the place in a List."""
    value: dict[str, Any]

    def wrong(self, loc: Loc, text: str) -> Wrong:
        """That what is at *loc* of the object is wrong; what is not there is told at what it should be in."""
        there: Loc = (*self.loc, *loc)
        while there and there not in self.source.marks:
            there = there[:-1]
        line, column = self.source.mark(there or self._first)
        return Wrong(self.source.name, Mistake(line, column, dotted(loc), text))

    @property
    def place(self) -> str:
        """``file:line`` of its beginning."""
        return f"{self.source.name}:{self.source.mark(self._first)[0]}"

    @property
    def _first(self) -> Loc:
        return (*self.loc, *tuple(self.value)[:1])


@dataclass(frozen=True, slots=True, order=True)
class Wrong:
    """One mistake in one file."""

    file: str
    mistake: Mistake

    def __str__(self) -> str:
        return self.mistake.render(self.file)


def read_pieces(files: Iterable[Path], shown: Path | None = None) -> tuple[list[Piece], list[Wrong]]:
    """
    The objects in *files*, and what could not be read.

    Args:
        files: Read in this order.
        shown: Names in messages are relative to this folder where they lie in it.
    """
    pieces: list[Piece] = []
    wrong: list[Wrong] = []
    for path in files:
        name = str(path.relative_to(shown) if shown is not None and path.is_relative_to(shown) else path)
        try:
            size = path.stat().st_size
            raw = path.read_bytes() if size <= LIMIT_BYTES else b""
        except OSError as error:
            wrong.append(Wrong(name, Mistake(1, 1, "", f"cannot be read: {error.strerror}")))
            continue
        if size > LIMIT_BYTES:
            wrong.append(Wrong(name, Mistake(1, 1, "", f"{size:,} bytes; a manifest has at most {LIMIT_BYTES:,}")))
            continue
        found, mistakes = parsed(raw, name)
        pieces += found
        wrong += mistakes
    return pieces, wrong


def parsed(raw: bytes, name: str) -> tuple[list[Piece], list[Wrong]]:
    """The objects in the bytes *raw* of the file *name*, those in Lists one by one, and what is wrong with them as YAML."""
    if name.endswith(".json"):
        raw = raw.replace(b"\t", b" ")  # in JSON a tab is space between values, which YAML does not always let it be
    try:
        sources = parse_stream(raw, name, what=WHAT, meaning=meant)
    except DocumentError as error:
        told = error.details.get("mistakes", ())
        return [], [Wrong(name, Mistake(one["line"], one["column"], one["setting"], one["text"])) for one in told]
    wrong = [Wrong(name, mistake) for source in sources for _, mistake in source.wrong]
    pieces = []
    for source in sources:
        for loc, value in _objects(source.value, ()):
            if isinstance(value, dict):
                pieces.append(Piece(source, loc, value))
            else:
                wrong.append(Wrong(name, source.mistake(loc, "must be a mapping: an object with apiVersion, kind and metadata")))
    return pieces, wrong


def refuse_all(app: str, wrong: Iterable[Wrong]) -> DocumentError:
    """The one error that lists everything that is *wrong*, in the order of the files."""
    found = sorted(set(wrong))
    lines = [f"the manifests of {app} cannot be used:", *(f"  {one}" for one in found[:LIMIT_SHOWN])]
    if len(found) > LIMIT_SHOWN:
        lines.append(f"  and {len(found) - LIMIT_SHOWN:,} more")
    error = DocumentError("\n".join(lines), next_step="mend these, then try again")
    error.details = {
        "mistakes": [
            {
                "file": one.file,
                "line": one.mistake.line,
                "column": one.mistake.column,
                "setting": one.mistake.setting,
                "text": one.mistake.text,
            }
            for one in found[:LIMIT_SHOWN]
        ]
    }
    return error


def meant(text: str) -> Any:
    """
    What kubectl takes a plain scalar for, where everybody does: ``0644`` is octal.

    Raises:
        ValueError: Readers differ about it; the message says what to write.
    """
    if text.lower() in _BOOLEANS:
        raise ValueError(f"a bare {text}, which some take for true or false: write true or false, or put it in quotes")
    if _ELSEWHERE_A_NUMBER.fullmatch(text):
        raise ValueError(f"{text} is a number to some and text to others: write a plain number, or put it in quotes")
    if found := _OCTAL.fullmatch(text):
        return int(found[1] + found[2], 8)
    return resolved(text)


def _objects(value: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    """*value*, or what is in it: a List, or a ConfigMapList and its like, may hold Lists in its turn, as for kubectl."""
    listed = isinstance(value, dict) and str(value.get("kind")).endswith("List") and inner(value, ("metadata", "name")) is None
    if listed and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*loc, "items", index))
    elif value is not None:
        yield loc, value
