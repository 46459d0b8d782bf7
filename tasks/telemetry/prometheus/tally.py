"""What has come so far, counted while it is written: the data certificate of a recording that nobody holds in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.files import canonical_json, sha256_text
from tasks.telemetry.arrays import distinct
from tasks.telemetry.columns import DUPLICATES, LATE
from tasks.telemetry.packed import Columns, Runs
from tasks.telemetry.series import Series, SeriesTable, key_of

NEVER = np.iinfo(np.int64).min
ABOUT = frozenset({"up", "scrape_duration_seconds"})
PERIOD_MS = 300_000
"""A series that has no sample for as long is over, says Prometheus: what is scraped at all leaves no period empty."""
HASHED_AT_ONCE = 1 << 16
"""So that what is on the way to a hash stays in the processor's cache."""
_UINT = np.uint64


@dataclass(slots=True)
class Chunk:
    """The same for the chunk that is being written."""

    rows: int = 0
    first_ms: int = np.iinfo(np.int64).max
    last_ms: int = NEVER
    duplicates: int = 0
    late: int = 0


@dataclass(slots=True)
class Tally:
    """
    Counts by series (index = its number) and over all.

    *fingerprint* is a sum, modulo 2**64, of a hash of each sample's series, time and bits: the same for the same samples, whatever
    the order in which they came and the chunks in which they lie.
    """

    table: SeriesTable
    count: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    first_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    last_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    last_value: NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))
    falls: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """How often each series fell; a reset where it is a counter."""
    seed: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, _UINT))
    """Hash of each series' identity."""
    about_scrapes: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    scrapes: tuple[Columns, ...] = ()
    """All samples about scrapes themselves (``up``, how long they took): few, and what gaps are found by."""
    non_finite: int = 0
    late: int = 0
    duplicates: int = 0
    stale: int = 0
    periods: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Periods of :data:`PERIOD_MS` since 1970 in which there is a sample, ascending."""
    fingerprint: int = 0
    histograms: Mapping[str, int] = field(default_factory=dict)
    chunk: Chunk = field(default_factory=Chunk)

    def begun(self) -> Tally:
        """A copy to count one more chunk on: this one stays as it is, should the chunk fail."""
        names = ("count", "first_ms", "last_ms", "last_value", "falls")
        return replace(self, **{name: getattr(self, name).copy() for name in names}, chunk=Chunk())

    def series(self) -> tuple[Series, ...]:
        """Those of which there is a sample."""
        return tuple(one for one, count in zip(self.table.since(0), self.count.tolist(), strict=False) if count)

    def to_json(self) -> dict[str, Any]:
        """The totals as a JSON object."""
        names = ("non_finite", "late", "duplicates", "stale")
        return {**{name: getattr(self, name) for name in names}, "samples": int(self.count.sum()), "histograms": dict(self.histograms)}

    def facts(self) -> dict[str, str]:
        """What a chunk must say of itself, and of all that was left out up to its end, since no row shows it."""
        own = {DUPLICATES: str(self.chunk.duplicates), LATE: str(self.chunk.late)}
        return own | {"stale": str(self.stale), "duplicates": str(self.duplicates), "histograms": canonical_json(dict(self.histograms))}

    def restore(self, facts: Mapping[str, str]) -> None:
        """
        Go on from what :meth:`facts` told.

        Raises:
            KeyError, ValueError: It told something else.
        """
        self.stale, self.duplicates = int(facts["stale"]), int(facts["duplicates"])
        self.histograms = {str(name): int(count) for name, count in json.loads(facts["histograms"]).items()}

    def leave_out(self, stale: int, duplicates: int, histograms: Mapping[str, int]) -> None:
        """Count what a batch left out."""
        self.stale += stale
        self.duplicates += duplicates
        self.chunk.duplicates += duplicates
        if histograms:
            self.histograms = {name: self.histograms.get(name, 0) + histograms.get(name, 0) for name in {*self.histograms, *histograms}}

    def add(self, series: NDArray[np.int32], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Count samples grouped by series, ascending in time within each."""
        if not len(series):
            return
        self._grow()
        runs = Runs.of(series)
        first, last = runs.starts, runs.starts + runs.lengths - 1
        who = series[first]
        with np.errstate(invalid="ignore"):
            fell = np.concatenate([[False], value[1:] < value[:-1]])
            fell[first] = (time_ms[first] > self.last_ms[who]) & (value[first] < self.last_value[who])
        self.falls += np.bincount(series[fell], minlength=len(self.falls))
        if np.any(time_ms[first] < self.last_ms[who]):
            self._count_late(series, time_ms)
        np.add.at(self.count, who, runs.lengths)
        np.minimum.at(self.first_ms, who, time_ms[first])
        newer = time_ms[last] > self.last_ms[who]
        self.last_ms[who[newer]] = time_ms[last[newer]]
        self.last_value[who[newer]] = value[last[newer]]
        self.non_finite += len(value) - int(np.count_nonzero(np.isfinite(value)))
        self.fingerprint = (self.fingerprint + hashed(runs.spread(self.seed[who]), time_ms, value)) % 2**64
        if self.about_scrapes[who].any():
            about = self.about_scrapes[series]
            self.scrapes = (*self.scrapes, (series[about], time_ms[about], value[about]))
        first_ms, last_ms = int(time_ms[first].min()), int(time_ms[last].max())
        self._see_periods(time_ms, first_ms, last_ms)
        chunk = self.chunk
        chunk.rows += len(series)
        chunk.first_ms, chunk.last_ms = min(chunk.first_ms, first_ms), max(chunk.last_ms, last_ms)

    def _count_late(self, series: NDArray[np.int32], time_ms: NDArray[np.int64]) -> None:
        behind = int(np.count_nonzero(time_ms < self.last_ms[series]))
        self.late += behind
        self.chunk.late += behind

    def _see_periods(self, time_ms: NDArray[np.int64], first_ms: int, last_ms: int) -> None:
        """Note the periods of *time_ms*, none of which is before *first_ms* or after *last_ms*."""
        begin = first_ms // PERIOD_MS
        seen = np.zeros(last_ms // PERIOD_MS - begin + 1, np.bool_)
        seen[time_ms // PERIOD_MS - begin] = True
        self.periods = distinct(np.concatenate([self.periods, np.flatnonzero(seen) + begin]))

    def _grow(self) -> None:
        """Make room for the series that are new in the table."""
        have, want = len(self.count), len(self.table)
        if have == want:
            return
        new = self.table.since(have)
        self.count = np.append(self.count, np.zeros(len(new), np.int64))
        self.falls = np.append(self.falls, np.zeros(len(new), np.int64))
        self.first_ms = np.append(self.first_ms, np.full(len(new), np.iinfo(np.int64).max))
        self.last_ms = np.append(self.last_ms, np.full(len(new), NEVER))
        self.last_value = np.append(self.last_value, np.full(len(new), -np.inf))
        about = np.fromiter((one.name in ABOUT for one in new), np.bool_, len(new))
        self.about_scrapes = np.append(self.about_scrapes, about)
        keys = (sha256_text("\0".join(key_of(one.role, one.service, one.name, one.labels)))[:16] for one in new)
        self.seed = np.append(self.seed, np.fromiter((int(key, 16) for key in keys), _UINT, len(new)))


def hashed(seed: NDArray[np.uint64], time_ms: NDArray[np.int64], value: NDArray[np.float64]) -> int:
    """Sum of a 64-bit hash of each sample; the mixing is that of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    total, bits = 0, np.ascontiguousarray(value).view(_UINT)
    for first in range(0, len(seed), HASHED_AT_ONCE):
        part = slice(first, first + HASHED_AT_ONCE)
        total += int(np.add.reduce(_mixed(_mixed(seed[part] + time_ms[part].view(_UINT)) ^ bits[part])))
    return total


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> _UINT(30))) * _UINT(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> _UINT(27))) * _UINT(0x94D049BB133111EB)
    return bits ^ (bits >> _UINT(31))
