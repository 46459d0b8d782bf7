"""
The Prometheus text format, fast: a line whose series is known costs one look-up and one number.

A line never seen before goes through the reference parser of ``prometheus-client``, so the result is that parser's;
afterwards its text up to the value is remembered. Like Prometheus itself, and unlike that parser, no ``_total`` is added to
the names of counters and exemplars are skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

_QUOTED = r'"(?:[^"\\\n]|\\.)*+"'
_PLAIN_PREFIX = re.compile(rf"[a-zA-Z_:][a-zA-Z0-9_:]*+(?:\{{(?:[a-zA-Z_][a-zA-Z0-9_]*+={_QUOTED}(?:, *|(?=\}})))*+\}})?")
_BEFORE_VALUE = re.compile(rf'\s*+[^"{{\s]*+\s*+(?:\{{(?:[^"}}]|{_QUOTED})*+\}})?')
_REMEMBERED = 200_000


class ExpositionError(ValueError):
    """A reply is not the text format; the message names the line."""


@dataclass(slots=True)
class Exposed:
    """The samples of one reply, in its order: ``values[i]`` of series ``numbers[i]``, at ``stamps_ms[i]`` where the reply says so."""

    numbers: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stamps_ms: dict[int, int] = field(default_factory=dict)


class ExpositionParser:
    """
    Parses the replies of one target.

    Args:
        number: Gives the series number of a metric name and its labels.
    """

    def __init__(self, number: Callable[[str, Mapping[str, str]], int]) -> None:
        self._number = number
        self._known: dict[str, int] = {}
        self._comments: set[str] = set()

    def parse(self, text: str, *, stamps_in_seconds: bool = False) -> Exposed:
        """
        All samples of *text*.

        Args:
            text: A whole reply; lines end with a line feed.
            stamps_in_seconds: Explicit times are seconds (OpenMetrics), not milliseconds.

        Raises:
            ExpositionError: A line is malformed; nothing of the reply may be used.
        """
        if len(self._known) + len(self._comments) > _REMEMBERED:
            self._known.clear()
            self._comments.clear()
        known = self._known
        numbers: list[int] = []
        texts: list[str] = []
        stamps: dict[int, int] = {}
        for line in text.split("\n"):
            prefix, _, value = line.rpartition(" ")
            number = known.get(prefix)
            if number is not None:
                numbers.append(number)
                texts.append(value)
            elif line and line not in self._comments:
                self._other(line, numbers, texts, stamps, stamps_in_seconds)
        try:
            if "_" in "".join(texts):
                raise ValueError
            return Exposed(numbers, list(map(float, texts)), stamps)
        except ValueError:
            return self._by_reference(text, stamps_in_seconds)

    def _other(self, line: str, numbers: list[int], texts: list[str], stamps: dict[int, int], in_seconds: bool) -> None:
        line = without_exemplar(line)
        before, _, last = line.rpartition(" ")
        number = self._known.get(before)
        if number is not None:
            numbers.append(number)
            texts.append(last)
            return
        prefix, _, value = before.rpartition(" ")
        number = self._known.get(prefix)
        if number is not None and not in_seconds and last.isascii() and last.isdigit():
            stamps[len(numbers)] = int(last)
            numbers.append(number)
            texts.append(value)
            return
        found = self._reference(line, in_seconds)
        if found is None:
            return
        number, exact, stamp_ms = found
        if stamp_ms is not None:
            stamps[len(numbers)] = stamp_ms
        for candidate in (before, prefix):
            if _PLAIN_PREFIX.fullmatch(candidate) and "{" not in line[len(candidate) :]:
                self._known[candidate] = number
        numbers.append(number)
        texts.append(repr(exact))

    def _reference(self, line: str, in_seconds: bool) -> tuple[int, float, int | None] | None:
        try:
            families = list(text_string_to_metric_families(line))
            samples = [sample for family in families for sample in family.samples]
            if not samples:
                self._comments.add(line)
                return None
            name, labels, value, stamp = samples[0][:4]
            return self._number(name, labels), _as_float(value), _as_ms(stamp, in_seconds)
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            raise ExpositionError(f"malformed line {line[:200]!r}") from error

    def _by_reference(self, text: str, in_seconds: bool) -> Exposed:
        exposed = Exposed()
        for line in text.split("\n"):
            found = self._reference(without_exemplar(line), in_seconds) if line.strip() else None
            if found is not None:
                if found[2] is not None:
                    exposed.stamps_ms[len(exposed.numbers)] = found[2]
                exposed.numbers.append(found[0])
                exposed.values.append(found[1])
        return exposed


def without_exemplar(line: str) -> str:
    """*line* up to `` # {``, where that stands behind the labels and not inside a label's value."""
    if " # " not in line or line.lstrip().startswith("#"):
        return line
    head = _BEFORE_VALUE.match(line)
    end = line.find(" # {", head.end() if head else 0)
    return line if end < 0 else line[:end]


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _as_ms(stamp: object, in_seconds: bool) -> int | None:
    if stamp is None:
        return None
    return round(float(stamp) * (1e6 if in_seconds else 1e3))  # type: ignore[arg-type]
