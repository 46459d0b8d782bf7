"""
Replies to raw range selectors, as JSON (``/api/v1/query`` with ``m[600s]``), made into columns without an object a sample.

The compact text that Prometheus itself writes is cut at its quotes and parsed column by column. Whatever else is JSON, reformatted
or in another order, goes through the json module with the same result. Values are the server's bit for bit, but for the payload of
NaN, which JSON cannot carry: every NaN is the one that a server makes of any NaN it scrapes. Stale markers never stand in such a reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.prometheus.batch import NORMAL_NAN, Batch
from tasks.telemetry.prometheus.compact_json import compact
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.json_pieces import JsonColumns, listed, milliseconds, parsed_json

_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JsonReply:
    """What a server said: samples, and what it thinks of the question."""

    batch: Batch
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


def batch_of(body: bytes | bytearray | memoryview, start_ms: int, end_ms: int) -> JsonReply:
    """
    The samples in [*start_ms*, *end_ms*]; the first one counts where a series has several at one time.

    Args:
        body: A whole reply.
        start_ms: Inclusive, milliseconds since 1970.
        end_ms: Inclusive.

    Raises:
        ServerRefused: The reply is an error.
        MalformedReply: It is cut off, damaged, or no matrix.
    """
    if isinstance(body, memoryview):
        body = bytes(body)
    try:
        columns, document = compact(body, start_ms, end_ms)
    except ValueError:
        columns, document = _any_json(body, start_ms, end_ms)
    try:
        return JsonReply(_batch(columns), _texts(document, "warnings"), _texts(document, "infos"))
    except ValueError as error:
        raise MalformedReply(f"the reply is damaged: {error}") from error


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    texts = document.get(key) or []
    if not isinstance(texts, list):
        raise ValueError(f"its {key} are no list")  # noqa: TRY004 -- all that is wrong with a text is a ValueError
    return tuple(map(str, texts))


def _any_json(body: bytes | bytearray, start_ms: int, end_ms: int) -> tuple[JsonColumns, dict[str, Any]]:
    try:
        if body[-64:].rstrip()[-1:] not in (b"}", b""):
            raise ValueError("it is cut off")
        document = parsed_json(body)
        if document.get("status") == "error":
            raise ServerRefused(str(document.get("errorType", "")), str(document.get("error", "")))
        if document["status"] != "success" or document["data"]["resultType"] != "matrix":
            raise ValueError("it is no matrix")
        columns = JsonColumns(start_ms, end_ms)
        for number, series in enumerate(listed(document["data"]["result"])):
            columns.open(series["metric"])
            samples = [_sample(pair) for pair in listed(series.get("values", []))]
            times, values = zip(*samples, strict=True) if samples else ((), ())
            columns.add(np.array([number]), np.array([len(samples)]), np.array(times, np.int64), np.array(values, np.float64))
            columns.leave_out(listed(series.get("histograms", [])))
    except ValueError as error:
        raise MalformedReply(f"the reply is damaged: {error}") from error
    except (TypeError, LookupError, AttributeError) as error:
        raise MalformedReply(f"the reply is not as the API promises: {error!r}") from error
    return columns, document


def _sample(pair: Any) -> tuple[int, float]:
    time, value = listed(pair)
    if type(value) is not str or not _NUMBER.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} is not a value")
    return milliseconds(time), float(value)


def _batch(columns: JsonColumns) -> Batch:
    """One series for each set of labels, its times in order and each there once."""
    labels = tuple(dict.fromkeys(columns.labels))
    counts = np.array(columns.counts, np.int64)
    time_ms = np.concatenate([np.empty(0, np.int64), *columns.time_ms])
    columns.time_ms.clear()
    value = np.concatenate([np.empty(0, np.float64), *columns.value])
    columns.value.clear()
    value[np.isnan(value)] = NORMAL_NAN
    duplicates = 0
    if len(labels) < len(columns.labels) or not _ascending(counts, time_ms):
        numbers = {one: number for number, one in enumerate(labels)}
        series = np.repeat([numbers[one] for one in columns.labels], counts)
        order = np.lexsort((time_ms, series))
        series, time_ms, value = series[order], time_ms[order], value[order]
        again = np.zeros(len(series), np.bool_)
        again[1:] = (np.diff(series) == 0) & (np.diff(time_ms) == 0)
        duplicates = int(np.count_nonzero(again))
        time_ms, value = time_ms[~again], value[~again]
        counts = np.bincount(series[~again], minlength=len(labels)).astype(np.int64)
    numbers = {one: number for number, one in enumerate(labels)} if columns.histograms_at else {}
    return Batch(
        labels,
        counts,
        time_ms,
        value,
        duplicates=duplicates,
        histograms=dict(columns.histograms),
        histogram_series=np.array([numbers[columns.labels[at]] for at, _ in columns.histograms_at], np.int64),
        histogram_ms=np.array([moment for _, moment in columns.histograms_at], np.int64),
    )


def _ascending(counts: NDArray[np.int64], time_ms: NDArray[np.int64]) -> bool:
    """Whether the times of each series ascend strictly."""
    up = np.diff(time_ms) > 0
    borders = np.cumsum(counts)[:-1]
    up[borders[(borders > 0) & (borders < len(time_ms))] - 1] = True
    return bool(up.all())
