"""
YAML from a user: plain values with the place each one came from, and every mistake at once.

YAML 1.2 (``no`` is text, ``22:30`` and ``2026-11-24`` are text). Refused: tags, aliases, duplicate keys, several documents,
byte order marks, more than 1 MiB, more than 40 levels. Nothing in a file can run code or grow in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base.errors import DocumentError

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 40
Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong: where (1-based line and column), at which setting, and what."""

    line: int
    column: int
    setting: str
    text: str

    def render(self, source: str) -> str:
        """``file:line:column: setting: text``."""
        return f"{source}:{self.line}:{self.column}: " + (f"{self.setting}: " if self.setting else "") + self.text


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file: plain values, and the (line, column) of each key or list item by its path."""

    name: str
    value: Any
    marks: dict[Loc, tuple[int, int]]

    def mark(self, loc: Loc) -> tuple[int, int]:
        """The place of *loc*, or of its nearest parent that is in the file."""
        while loc and loc not in self.marks:
            loc = loc[:-1]
        return self.marks.get(loc, (1, 1))


def dotted(loc: Sequence[str | int]) -> str:
    """``("faults", "trials", 2, "kind")`` as ``faults.trials[2].kind``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def refuse(source: str, mistakes: Sequence[Mistake], what: str = "experiment") -> DocumentError:
    """The one error that lists all *mistakes*."""
    lines = [f"{source} is not a valid {what}:", *(f"  {mistake.render(source)}" for mistake in sorted(set(mistakes)))]
    return DocumentError("\n".join(lines), next_step=f"mend the line above, then: tidegauge check {source}")


def read_source(path: Path, *, what: str = "experiment") -> Source:
    """
    Parse the file at *path*.

    Raises:
        DocumentError: It cannot be read or is refused; all mistakes are listed.
    """
    name = str(path)
    try:
        if not path.is_file():
            raise DocumentError(f"there is no file {name}", next_step="tidegauge init")
        if path.stat().st_size > LIMIT_BYTES:
            raise refuse(name, [Mistake(1, 1, "", f"larger than {LIMIT_BYTES >> 20} MiB")], what)
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DocumentError(f"cannot read {name!r}: {error}") from error
    return parse_source(raw, name, what=what)


def parse_source(raw: bytes, name: str, *, what: str = "experiment") -> Source:
    """
    Parse *raw* (UTF-8); *name* stands before each mistake.

    Raises:
        DocumentError: It is refused; all mistakes are listed.
    """
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise refuse(name, [Mistake(1, 1, "", "starts with a byte order mark; save it as UTF-8 without one")], what)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise refuse(name, [Mistake(line, 1, "", f"byte {error.start} is not UTF-8")], what) from error
    walker = _Walker()
    root = _compose(text, name, what)
    value = walker.plain(root, (), 0) if root is not None else None
    if not walker.mistakes and not isinstance(value, dict):
        walker.mistakes.append(Mistake(1, 1, "", "must be a mapping of settings"))
    if walker.mistakes:
        raise refuse(name, walker.mistakes, what)
    return Source(name, value, walker.marks)


def _compose(text: str, name: str, what: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        documents = list(YAML(typ="rt", pure=True).compose_all(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise refuse(name, [Mistake(line, column, "", f"not YAML: {error.problem or error.context}")], what) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise refuse(name, [Mistake(1, 1, "", f"not YAML: {str(error).splitlines()[0]}")], what) from error
    if len(documents) > 1:
        mark = documents[1].start_mark
        raise refuse(name, [Mistake(mark.line + 1, mark.column + 1, "", "a second document; one file holds one")], what)
    return documents[0] if documents else None


@dataclass(slots=True)
class _Walker:
    marks: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def wrong(self, node: Any, loc: Loc, text: str) -> None:
        self.mistakes.append(Mistake(node.start_mark.line + 1, node.start_mark.column + 1, dotted(loc), text))

    def plain(self, node: Any, loc: Loc, depth: int) -> Any:
        if id(node) in self.seen:
            self.wrong(node, loc, "an alias (*name); write the value out")
            return None
        if depth > LIMIT_DEPTH:
            self.wrong(node, loc, f"nested deeper than {LIMIT_DEPTH} levels")
            return None
        self.seen.add(id(node))
        kind = type(node).__name__
        if kind == "MappingNode" and self._known_tag(node, loc, "map"):
            return self._mapping(node, loc, depth)
        if kind == "SequenceNode" and self._known_tag(node, loc, "seq"):
            return [self._item(item, (*loc, index), depth) for index, item in enumerate(node.value)]
        return self._scalar(node, loc) if kind == "ScalarNode" else None

    def _known_tag(self, node: Any, loc: Loc, *names: str) -> bool:
        tag = str(node.tag)
        if any(tag == f"tag:yaml.org,2002:{name}" for name in names):
            return True
        self.wrong(node, loc, f"the tag {tag} is not allowed; write a plain value")
        return False

    def _item(self, node: Any, loc: Loc, depth: int) -> Any:
        self.marks[loc] = (node.start_mark.line + 1, node.start_mark.column + 1)
        return self.plain(node, loc, depth + 1)

    def _mapping(self, node: Any, loc: Loc, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.plain(key_node, loc, depth + 1)
            if not isinstance(key, str):
                self.wrong(key_node, loc, "a key must be text")
                continue
            if key in result:
                line = self.marks[(*loc, key)][0]
                self.wrong(key_node, (*loc, key), f"given twice; it stands in line {line} already")
                continue
            self.marks[(*loc, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.plain(value_node, (*loc, key), depth + 1)
        return result

    def _scalar(self, node: Any, loc: Loc) -> Any:
        text, tag = str(node.value), str(node.tag).removeprefix("tag:yaml.org,2002:")
        if "\0" in text:
            self.wrong(node, loc, "contains a NUL character")
            return None
        if not self._known_tag(node, loc, "str", "int", "float", "bool", "null", "timestamp"):
            return None
        try:
            return _SCALARS[tag](text)
        except ValueError:
            self.wrong(node, loc, f"{text!r} is not a number")
            return None


def _int(text: str) -> int:
    if len(text) > 30:
        raise ValueError(text)
    return (
        int(text, 0) if not text.lstrip("+-").startswith("0") or len(text.lstrip("+-")) == 1 or text.lstrip("+-")[1] in "xo" else int(text)
    )


def _float(text: str) -> float:
    plain = text.lower().lstrip("+")
    value = float(plain.replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_SCALARS: dict[str, Any] = {
    "str": str,
    "timestamp": str,
    "int": _int,
    "float": _float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda _: None,
}
