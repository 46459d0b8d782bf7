"""
A streamed remote read into columns: chunks are collected over frames, decoded together, and trimmed to what was asked for.

A server sends one series after the other, the chunks of each in order of their first times, and it sends them whole: samples before and
after the asked range are in them. Where samples came out of order, chunks of one series overlap. A batch ends between two series; only a
series that fills one alone is cut, at the first time of its newest chunk, since all that is older has come by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.prometheus.batch import STALE_BITS, Batch, Labels
from tasks.telemetry.prometheus.errors import MalformedReply, UnknownEncoding
from tasks.telemetry.prometheus.wire import RawSeries, chunked_series
from tasks.telemetry.prometheus.xor import decode

CHUNKS_AT_ONCE = 5120
"""
A batch has about as many chunks; at 120 samples a chunk it is 10 MB.

It becomes a row group, in which each target's times are stored once: smaller ones would store them more often.
"""

_XOR = 1
_HISTOGRAMS = (2, 3)


@dataclass(slots=True)
class _Series:
    """A series of which chunks have come; more of them may come."""

    labels: Labels
    chunks: list[bytes] = field(default_factory=list)
    histograms_ms: list[int] = field(default_factory=list)
    """First times of chunks of native histograms."""
    again: int = 0
    """So many of the first chunks were in the batch before, too."""
    from_ms: int | None = None
    """What is older was given out with that batch."""

    def add(self, raw: RawSeries) -> None:
        """Take the chunks of *raw*, of the same series."""
        for chunk in raw.chunks:
            if chunk.encoding == _XOR:
                self.chunks.append(chunk.data)
            elif chunk.encoding in _HISTOGRAMS:
                self.histograms_ms.append(chunk.first_ms)
            else:
                raise UnknownEncoding(f"a chunk of {dict(self.labels)} has the unknown encoding {chunk.encoding}")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Samples of several series, one series after the other; each array has one entry a sample."""

    chunk: NDArray[np.int32]
    series: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]

    def where(self, keep: NDArray[np.bool]) -> _Columns:
        """Those samples for which *keep* is true."""
        if keep.all():
            return self
        return _Columns(self.chunk[keep], self.series[keep], self.time_ms[keep], self.value[keep])


def batches(frames: Iterable[bytes], start_ms: int, end_ms: int, chunks_at_once: int = CHUNKS_AT_ONCE) -> Iterator[Batch]:
    """
    The samples from *start_ms* to *end_ms*, both inclusive, of a reply to :func:`~tasks.telemetry.prometheus.wire.read_request`.

    A series that the server named is in a batch also when none of its samples is within the range, or all of it are histograms.

    Args:
        frames: Data of the reply's frames.
        start_ms: The first moment.
        end_ms: The last one.
        chunks_at_once: So many are decoded together, or somewhat more; at most one batch is held in memory.

    Raises:
        MalformedReply: A frame or a chunk is not what it must be, or a series is not sent in one go.
        UnknownEncoding: A chunk is of one.
    """
    held: list[_Series] = []
    seen: set[int] = set()
    size = 0
    for raw in (series for frame in frames for series in chunked_series(frame)):
        if not held or held[-1].labels != raw.labels:
            _note(seen, raw.labels)
            if size >= chunks_at_once:
                yield _batch(held, _columns(held), start_ms, end_ms)
                held, size = [], 0
            held.append(_Series(raw.labels))
        held[-1].add(raw)
        size += len(raw.chunks)
        if len(held[-1].chunks) - held[-1].again >= chunks_at_once:
            given, rest = _cut(held)
            yield _batch(held, given, start_ms, end_ms)
            held, size = [rest], len(rest.chunks)
    if held:
        yield _batch(held, _columns(held), start_ms, end_ms)


def _note(seen: set[int], labels: Labels) -> None:
    """Refuse a series that comes again after another one; its samples could no longer be brought in order."""
    key = hash(labels)
    if key in seen:
        raise MalformedReply(f"the series {dict(labels)} came twice")
    seen.add(key)


def _columns(held: Sequence[_Series]) -> _Columns:
    """All samples of *held*, as they came, without what was given out before."""
    decoded = decode([chunk for series in held for chunk in series.chunks])
    chunk = np.repeat(np.arange(len(decoded.counts), dtype=np.int32), decoded.counts)
    before = np.concatenate([[0], np.cumsum(decoded.counts)])
    bounds = before[np.cumsum([0, *(len(one.chunks) for one in held)])]
    series = np.repeat(np.arange(len(held), dtype=np.int32), np.diff(bounds))
    columns, first = _Columns(chunk, series, decoded.time_ms, decoded.value), held[0]
    if first.from_ms is None:
        return columns
    given = (series == 0) & (columns.time_ms < first.from_ms)
    if np.any(chunk[given] >= first.again):
        raise MalformedReply(f"the chunks of {dict(first.labels)} are not in order of their first times")
    return columns.where(~given)


def _cut(held: Sequence[_Series]) -> tuple[_Columns, _Series]:
    """What of *held* no further chunk can be older than, and the last series with what is left of it."""
    columns, series = _columns(held), held[-1]
    own = columns.series == len(held) - 1
    if not own.any():
        return columns, _Series(series.labels)
    newest_ms = int(columns.time_ms[columns.chunk == columns.chunk[-1]].min())
    left = own & (columns.time_ms >= newest_ms)
    before = sum(len(one.chunks) for one in held[:-1])
    chunks = [series.chunks[index] for index in np.unique(columns.chunk[left]) - before]
    return columns.where(~left), _Series(series.labels, chunks, again=len(chunks), from_ms=newest_ms)


def _batch(held: Sequence[_Series], columns: _Columns, start_ms: int, end_ms: int) -> Batch:
    columns = columns.where((columns.time_ms >= start_ms) & (columns.time_ms <= end_ms))
    columns, duplicates = _ascending(columns)
    live, dead = columns, columns.where(columns.value.view(np.uint64) == STALE_BITS)
    if len(dead.value):
        live = columns.where(columns.value.view(np.uint64) != STALE_BITS)
    histograms: Counter[str] = Counter()
    of_series, firsts_ms = list[int](), list[int]()
    for place, series in enumerate(held):
        if series.histograms_ms:
            histograms[dict(series.labels)["__name__"]] += len(series.histograms_ms)
            of_series += [place] * len(series.histograms_ms)
            firsts_ms += series.histograms_ms
    return Batch(
        labels=tuple(series.labels for series in held),
        counts=np.bincount(live.series, minlength=len(held)),
        time_ms=live.time_ms,
        value=live.value,
        stale=len(dead.value),
        stale_series=dead.series.astype(np.int64),
        stale_ms=dead.time_ms,
        duplicates=duplicates,
        histograms=histograms,
        histogram_series=np.array(of_series, np.int64),
        histogram_ms=np.array(firsts_ms, np.int64),
    )


def _ascending(columns: _Columns) -> tuple[_Columns, int]:
    """*columns* with the times of each series in order and the first sample of each time alone; how many were left out."""
    series, time_ms = columns.series, columns.time_ms
    inside = series[1:] == series[:-1]
    if not np.any(inside & (time_ms[1:] <= time_ms[:-1])):
        return columns, 0
    back = inside & (time_ms[1:] < time_ms[:-1])
    if back.any():
        rows = np.flatnonzero(np.isin(series, series[1:][back]))
        order = rows[np.lexsort((time_ms[rows], series[rows]))]
        time_ms[rows], columns.value[rows] = time_ms[order], columns.value[order]
    first = np.ones(len(series), np.bool)
    first[1:] = ~inside | (time_ms[1:] != time_ms[:-1])
    return columns.where(first), len(first) - int(np.count_nonzero(first))
