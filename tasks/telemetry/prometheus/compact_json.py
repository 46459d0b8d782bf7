"""
The compact text in which Prometheus itself writes a matrix, cut at its quotes and parsed column by column.

Whatever looks otherwise, for better or worse, is a ValueError: the json module decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.telemetry.prometheus.json_pieces import JsonColumns, parsed_json

BLOCK_BYTES = 1 << 19
"""Text that is parsed at once: as much as stays in the processor's cache, and little beside the reply."""
LONGEST_SECONDS = 15
"""Digits of a time in whole seconds, so that milliseconds fit into 64 bits."""

HEAD = b'{"status":"success","data":{"resultType":"matrix","result":['
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PAIR = _STRING + b":" + _STRING
_SERIES = re.compile(rb'\{"metric":(\{(?:' + _PAIR + rb"(?:," + _PAIR + rb')*+)?\}),"(values|histograms)":\[(?=\[)', re.DOTALL)
_COMMA, _BRACKET, _CLOSED, _DOT = b",[]."


def compact(body: bytes | bytearray, start_ms: int, end_ms: int) -> tuple[JsonColumns, dict[str, Any]]:
    """
    The samples of *body* in [*start_ms*, *end_ms*], and the rest of the reply.

    Raises:
        ValueError: It is not compact text from beginning to end.
    """
    if not body.startswith(HEAD):
        raise ValueError("it begins otherwise")
    columns = JsonColumns(start_ms, end_ms)
    walk = _Walk(body, columns)
    for series, texts in walk.blocks():
        counts, time_ms, value = _samples(texts)
        columns.add(np.array(series), counts, time_ms, value)
    document = parsed_json(HEAD + body[walk.at :])
    if document["data"]["result"]:
        raise ValueError("it goes on with something else")
    return columns, document


@dataclass(slots=True)
class _Walk:
    """Goes from series to series and cuts out the texts of their samples."""

    body: bytes | bytearray
    columns: JsonColumns
    at: int = len(HEAD)

    def blocks(self) -> Iterator[tuple[list[int], list[memoryview]]]:
        """Numbers of series, and a text ``[t,"v"],...,[t,"v"]`` for each, of about :data:`BLOCK_BYTES` in all."""
        view = memoryview(self.body)
        series: list[int] = []
        texts: list[memoryview] = []
        size = 0
        for number, first, last in self._pieces():
            series.append(number)
            texts.append(view[first:last])
            size += last - first
            if size >= BLOCK_BYTES:
                yield series, texts
                series, texts, size = [], [], 0
        if series:
            yield series, texts

    def _pieces(self) -> Iterator[tuple[int, int, int]]:
        more = self.body[self.at : self.at + 1] != b"]"
        while more:
            match = _SERIES.match(self.body, self.at)
            if match is None:
                raise ValueError("a series begins otherwise")
            self.columns.open(parsed_json(match[1]))
            self.at = match.end()
            if match[2] == b"values":
                first, last = self.at, self._find(b"]]") + 1
                yield from self._split(len(self.columns.labels) - 1, first, last)
                self.at = last + 1
            if match[2] != b"values" or self._skip(b',"histograms":['):
                last = self._find(b"}]]") + 2
                self.columns.leave_out(parsed_json(b"[" + self.body[self.at : last] + b"]"))
                self.at = last + 1
            more = self._skip(b"},")
            if not more and not self._skip(b"}"):
                raise ValueError("a series ends otherwise")

    def _find(self, wanted: bytes) -> int:
        return self.body.index(wanted, self.at)

    def _skip(self, wanted: bytes) -> bool:
        there = self.body.startswith(wanted, self.at)
        self.at += len(wanted) * there
        return there

    def _split(self, number: int, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        while last - first > 2 * BLOCK_BYTES:
            cut = self.body.find(b"],[", first + BLOCK_BYTES, last) + 1
            if not cut:
                break
            yield number, first, cut
            first = cut + 1
        yield number, first, last


def _samples(texts: list[memoryview]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Number of samples in each text, then times and values of all."""
    text = b"," + b",".join(texts)
    letters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    opening, closing = quotes[0::2], quotes[1::2]
    if not len(quotes) or len(opening) != len(closing) or closing[-1] + 2 != len(text) or b"(" in text:  # NaN(1) is a number to Arrow
        raise ValueError("a sample is not [time,value]")
    begin = np.concatenate(([0], closing[:-1] + 2))
    if np.any(opening - begin < 4) or not (
        np.all(letters[begin] == _COMMA)
        and np.all(letters[begin + 1] == _BRACKET)
        and np.all(letters[opening - 1] == _COMMA)
        and np.all(letters[closing + 1] == _CLOSED)
    ):
        raise ValueError("a sample is not [time,value]")
    starts = np.cumsum([0, *(len(one) + 1 for one in texts)])
    counts = np.diff(np.searchsorted(begin, starts))
    return counts, _times(text, letters, begin + 2, opening - 1), _numbers(text, opening + 1, closing, pa.float64())


def _times(text: bytes, letters: NDArray[np.uint8], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seconds, whole or with three decimals, as milliseconds."""
    dotted = letters[last - 4] == _DOT
    decimals = [letters[last - place] - ord("0") for place in (3, 2, 1)]
    if any(np.any((decimal > 9) & dotted) for decimal in decimals):
        raise ValueError("a time has other decimals")
    end = last - 4 * dotted
    if np.any(letters[first] - ord("1") > 8) or np.any(end - first > LONGEST_SECONDS):
        raise ValueError("a time is not of this age")
    thousandths = (decimals[0] * np.int64(100) + decimals[1] * np.int64(10) + decimals[2]) * dotted
    time_ms: NDArray[np.int64] = _numbers(text, first, end, pa.int64()) * 1000 + thousandths
    return time_ms


def _numbers(text: bytes, first: NDArray[np.int64], last: NDArray[np.int64], kind: pa.DataType) -> NDArray[Any]:
    """
    The numbers at ``text[first[i]:last[i]]``, correctly rounded.

    To Arrow, *text* is one column of texts: those between the numbers are declared missing, so nothing is copied.
    """
    bounds = np.zeros(2 * len(first) + 1, np.int32)
    bounds[1::2], bounds[2::2] = first, last
    there = np.full(len(first) // 4 + 1, 0b10101010, np.uint8)
    column = pa.Array.from_buffers(pa.string(), 2 * len(first), [pa.py_buffer(there), pa.py_buffer(bounds), pa.py_buffer(text)])
    parsed = column.cast(kind)
    return np.frombuffer(parsed.buffers()[1], np.int64 if kind == pa.int64() else np.float64, len(column))[1::2].copy()
