"""What features are made from: the series of a recording and their raw samples, as structural types; and dense blocks of these."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

STAGED = 1 << 19
"""Samples that are held one by one before they become dense: some 10 MB."""

Key = TypeVar("Key", bound=Hashable)
Places = NDArray[np.uint16] | NDArray[np.int32]


class Series(Protocol):
    """One logical time series of a recording; the same (service, name, labels) is the same series in every recording."""

    @property
    def id(self) -> int:
        """Number of the series within its recording."""

    @property
    def name(self) -> str:
        """Metric name as it was exposed."""

    @property
    def service(self) -> str:
        """Service, or target, that the metric is about."""

    @property
    def role(self) -> str:
        """One of ``service``, ``container``, ``pod``, ``node``, ``harness``."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels; of series that came from a Prometheus all of them, else without those that name a port or an instance."""


class Samples(Protocol):
    """Raw samples, one entry a sample."""

    @property
    def series(self) -> NDArray[np.int32]:
        """Series number of each sample."""

    @property
    def time_ms(self) -> NDArray[np.int64]:
        """Milliseconds since 1970, UTC."""

    @property
    def value(self) -> NDArray[np.float64]:
        """Value as exposed."""


@dataclass(frozen=True, slots=True)
class Block(Generic[Key]):
    """Series of one owner that were scraped at the same moments: times ``(m,)`` in s, ascending; values ``(k, m)``, finite."""

    ids: tuple[int, ...]
    owner: Key
    time_s: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of some series of one owner that have the same times: ``(m,)`` in order of arrival, and values ``(k, m)``."""

    ids: tuple[int, ...]
    time_ms: NDArray[np.int64]
    values: NDArray[np.float64]


class Gathered(Generic[Key]):
    """
    The samples of some series, chunk after chunk, kept without the rest and without a number and a time for each of them.

    A sample costs 8 bytes, and up to 20 among the newest. Chunks may have any samples in any order; of two of a series at
    one moment the first that was added counts.

    Args:
        owners: Whose each wanted series is, by its number. Only series of one owner share a block.
        staged: How many samples are held one by one before they become dense.
    """

    def __init__(self, owners: Mapping[int, Key], staged: int = STAGED) -> None:
        self._limit = staged
        self._ids = np.array(sorted(owners), dtype=np.int32)
        self._place = _places(self._ids)
        self._members: dict[Key, list[int]] = {}
        for place, number in enumerate(self._ids.tolist()):
            self._members.setdefault(owners[number], []).append(place)
        self._pieces: dict[Key, list[_Piece]] = {}
        self._staged: list[tuple[Places, NDArray[np.int64], NDArray[np.float64]]] = []
        self._rows = 0

    def add(self, chunk: Samples) -> None:
        """Take what is wanted of *chunk*."""
        place = self._place.take(chunk.series, mode="clip")
        wanted = place < len(self._ids)
        if wanted.all():
            self._stage(place, chunk.time_ms, chunk.value)
        elif wanted.any():
            self._stage(place[wanted], chunk.time_ms[wanted], chunk.value[wanted])

    def take(self, owners: Collection[Key]) -> Iterator[Block[Key]]:
        """The blocks of *owners*, which are forgotten by it; series without a finite sample are in none."""
        self._settle()
        for owner in owners:
            yield from _blocks(owner, self._pieces.pop(owner, []))

    def _stage(self, place: Places, time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        self._staged.append((place, time_ms, value))
        self._rows += len(place)
        if self._rows >= self._limit:
            self._settle()

    def _settle(self) -> None:
        """Make what is staged dense."""
        if not self._staged:
            return
        place, time_ms, value = self._staged[0] if len(self._staged) == 1 else map(np.concatenate, zip(*self._staged, strict=True))
        self._staged, self._rows = [], 0
        if bool(np.any(place[1:] < place[:-1])):
            order = np.argsort(place, kind="stable")
            time_ms, value = time_ms[order], value[order]
        bounds = [0, *np.cumsum(np.bincount(place, minlength=len(self._ids))).tolist()]
        ids = self._ids.tolist()
        for owner, members in self._members.items():
            runs = [(ids[one], slice(bounds[one], bounds[one + 1])) for one in members if bounds[one] < bounds[one + 1]]
            if runs:
                self._pieces.setdefault(owner, []).extend(_pieces(runs, time_ms, value))


def blocks(samples: Samples, owners: Mapping[int, Key]) -> Iterator[Block[Key]]:
    """The *samples* of the wanted series as dense blocks; see :class:`Gathered`."""
    gathered = Gathered(owners)
    gathered.add(samples)
    yield from gathered.take(dict.fromkeys(owners.values()))


def _places(ids: NDArray[np.int32]) -> Places:
    """The place of each number among *ids*, which ascend; behind them all for numbers that are not there, the highest one included."""
    size = int(ids[-1]) + 2 if len(ids) else 1
    fits = len(ids) < np.iinfo(np.uint16).max  # numbers of 16 bits are sorted by counting
    found: Places = np.full(size, len(ids), dtype=np.uint16) if fits else np.full(size, len(ids), dtype=np.int32)
    found[ids] = np.arange(len(ids))
    return found


def _pieces(runs: list[tuple[int, slice]], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> Iterator[_Piece]:
    """The samples of one owner, a slice a series, with those together that have the same times."""
    if len({run.stop - run.start for _, run in runs}) == 1:
        times = np.stack([time_ms[run] for _, run in runs])
        if bool((times == times[0]).all()):
            yield _Piece(tuple(number for number, _ in runs), times[0].copy(), np.stack([value[run] for _, run in runs]))
            return
    together: dict[bytes, list[tuple[int, NDArray[np.float64]]]] = {}
    for number, run in runs:
        times, values = time_ms[run], value[run]
        if bool(np.any(times[1:] < times[:-1])):
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        together.setdefault(times.tobytes(), []).append((number, values))
    for raw, members in together.items():
        yield _Piece(tuple(number for number, _ in members), np.frombuffer(raw, dtype=np.int64), np.stack([one for _, one in members]))


def _blocks(owner: Key, pieces: list[_Piece]) -> Iterator[Block[Key]]:
    """*pieces* one after the other, series that are in the same ones together."""
    rows: dict[int, list[tuple[int, int]]] = {}
    for number, piece in enumerate(pieces):
        for row, one in enumerate(piece.ids):
            rows.setdefault(one, []).append((number, row))
    together: dict[tuple[int, ...], list[int]] = {}
    for one, found in rows.items():
        together.setdefault(tuple(number for number, _ in found), []).append(one)
    for numbers, ids in together.items():
        parts = [pieces[number] for number in numbers]
        values = [
            part.values if len(part.ids) == len(ids) else part.values[[rows[one][place][1] for one in ids]]
            for place, part in enumerate(parts)
        ]
        time_ms = np.concatenate([part.time_ms for part in parts])
        joined = values[0] if len(values) == 1 else np.concatenate(values, axis=1)
        yield from _finite(owner, tuple(ids), *_ascending(time_ms, joined))


def _ascending(time_ms: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times and values in order of time, each moment once."""
    if not bool(np.any(time_ms[1:] <= time_ms[:-1])):
        return time_ms, values
    order = np.argsort(time_ms, kind="stable")
    ordered = time_ms[order]
    first = order[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return time_ms[first], values[:, first]


def _finite(owner: Key, ids: tuple[int, ...], time_ms: NDArray[np.int64], values: NDArray[np.float64]) -> Iterator[Block[Key]]:
    """Blocks without the samples that are not finite: these are gaps of the series that has them."""
    finite = np.isfinite(values)
    if finite.all():
        yield Block(ids, owner, time_ms / 1000.0, values)
        return
    together: dict[bytes, list[int]] = {}
    for row in range(len(ids)):
        together.setdefault(finite[row].tobytes(), []).append(row)
    for rows in together.values():
        known = finite[rows[0]]
        if known.any():
            yield Block(tuple(ids[row] for row in rows), owner, time_ms[known] / 1000.0, values[rows][:, known])
