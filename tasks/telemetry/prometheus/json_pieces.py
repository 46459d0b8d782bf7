"""Pieces of a reply in JSON, whichever way it is read: numbers as they were written, labels, and samples gathered in columns."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.prometheus.batch import Labels

TIME = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,3})0*)?")


@dataclass(slots=True)
class JsonColumns:
    """Series in the order of the reply, samples too; nothing is merged yet."""

    start_ms: int
    end_ms: int
    labels: list[Labels] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    time_ms: list[NDArray[np.int64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)
    histograms: Counter[str] = field(default_factory=Counter)
    histograms_at: list[tuple[int, int]] = field(default_factory=list)
    """The number of each one's series, and its time."""
    known: dict[str, str] = field(default_factory=dict)

    def open(self, metric: Any) -> None:
        """Begin the next series."""
        self.labels.append(labels_of(metric, self.known))
        self.counts.append(0)

    def leave_out(self, histograms: Any) -> None:
        """Count the histograms of the series that was begun last."""
        times = (milliseconds(time) for time, _ in map(listed, histograms))
        inside = [time_ms for time_ms in times if self.start_ms <= time_ms <= self.end_ms]
        if inside:
            self.histograms[dict(self.labels[-1]).get("__name__", "")] += len(inside)
            self.histograms_at += [(len(self.labels) - 1, time_ms) for time_ms in inside]

    def add(self, series: NDArray[np.int64], counts: NDArray[np.int64], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Take the samples in the window; the next ``counts[i]`` of them are of number ``series[i]``."""
        inside = (time_ms >= self.start_ms) & (time_ms <= self.end_ms)
        if not inside.all():
            before = np.concatenate(([0], np.cumsum(inside)))
            ends = np.cumsum(counts)
            counts, time_ms, value = before[ends] - before[ends - counts], time_ms[inside], value[inside]
        for number, count in zip(series.tolist(), counts.tolist(), strict=True):
            self.counts[number] += count
        self.time_ms.append(time_ms)
        self.value.append(value)


class Literal(str):
    """A number as it was written."""

    __slots__ = ()


def parsed_json(text: bytes | bytearray) -> Any:
    """JSON in UTF-8; numbers stay text, and a key that is there twice is an error, not the last one's."""
    try:
        return _DECODER.decode(text.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


_DECODER = json.JSONDecoder(parse_float=Literal, parse_int=Literal, parse_constant=_no_constant, object_pairs_hook=_object)


def labels_of(metric: Any, known: dict[str, str]) -> Labels:
    """The labels of a series; texts that were *known* before are shared with the series that had them."""
    if not isinstance(metric, dict) or not all(type(value) is str for value in metric.values()):
        raise ValueError("a series has no labels")
    labels = tuple((known.setdefault(name, name), known.setdefault(value, value)) for name, value in sorted(metric.items()))
    "".join(map("".join, labels)).encode()  # half a surrogate is JSON, but no text
    return labels


def milliseconds(literal: Any) -> int:
    """
    A time as the server writes it, seconds with up to three decimals, in ms.

    Raises:
        ValueError: It is none.
    """
    match = TIME.fullmatch(literal) if isinstance(literal, Literal) else None
    if match is None:
        raise ValueError(f"{str(literal)[:40]!r} is not a time in milliseconds")
    return int(f"{match[1]}{match[2]}{match[3] or '':0<3}")


def listed(value: Any) -> list[Any]:
    """
    *value*, which is a list.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, list):
        raise ValueError("something is no list")  # noqa: TRY004 -- all that is wrong with a text is a ValueError
    return value
