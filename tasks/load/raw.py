"""Reading the generators' raw logs: whole lines as they appear, and all of them merged by second."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tasks.load.clocks import read_shifts
from tasks.load.tally import EndpointCount

KEEP_OPEN = 600
"""Seconds that may still get counts from a row out of order while merging."""


def raw_files(out: Path) -> tuple[Path, ...]:
    """All raw logs in *out*, in the order in which they were begun."""
    return tuple(sorted(out.glob("raw-[0-9]*.jsonl")))


@dataclass(slots=True)
class Tail:
    """Follows a log that another process appends to."""

    path: Path
    position: int = 0

    def new(self) -> list[dict[str, Any]]:
        """The rows that were completed since the last call; a line without its end waits for the next one."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.position += len(whole)
        return [row for row in map(_row, whole.splitlines()) if row is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


@dataclass(slots=True)
class RawSecond:
    """One second, merged over all logs that have it. Shares of a core and bytes are the largest seen."""

    second: int
    users_planned: float = 0.0
    journeys_planned: float = 0.0
    journeys_started: int = 0
    journeys_completed: int = 0
    late_s: float = 0.0
    cpu_ratio: float = 0.0
    rss_bytes: int = 0
    present: dict[int, int] = field(default_factory=dict)
    """Users by log."""
    endpoints: dict[str, EndpointCount] = field(default_factory=dict)
    lag_s: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A second of which there is one row."""
        made = cls(row["second"])
        made.add(row, 0)
        return made

    @property
    def users_present(self) -> int:
        """Users of all logs together."""
        return sum(self.present.values())

    def add(self, row: Mapping[str, Any], log: int) -> None:
        """Add a row of log number *log*: plans are the same in every log, what was done is summed."""
        self.present[log] = max(self.present.get(log, 0), row["users_present"])
        self.users_planned = max(self.users_planned, row["users_planned"])
        self.journeys_planned = max(self.journeys_planned, row["journeys_planned"])
        self.journeys_started += row["journeys_started"]
        self.journeys_completed += row["journeys_completed"]
        self.lag_s = max(self.lag_s, row["lag_s"])
        self.late_s = max(self.late_s, row["late_s"])
        self.cpu_ratio = max(self.cpu_ratio, row["cpu_ratio"])
        self.rss_bytes = max(self.rss_bytes, row["rss_bytes"])
        for name, values in row["endpoints"].items():
            _add_endpoint(self.endpoints.setdefault(name, EndpointCount()), values)


def _add_endpoint(count: EndpointCount, values: list[Any]) -> None:
    requests, failures, declined, own, own_counts, intended, intended_counts = values
    count.requests += requests
    count.failures += failures
    count.declined += declined
    count.own = _summed(count.own, dict(zip(own, own_counts, strict=True)))
    count.intended = _summed(count.intended, dict(zip(intended, intended_counts, strict=True)))


def _summed(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return {bucket: one.get(bucket, 0) + other.get(bucket, 0) for bucket in one.keys() | other.keys()} if one else other


@dataclass(slots=True)
class RawReader:
    """
    Merges all raw logs of a folder, whether they follow each other or run side by side.

    Lines that are torn or out of reach (more than ten minutes out of order) are left out and counted. Seconds are those of the
    clock that started the load: where a generator had another one, its rows are moved by whole seconds.
    """

    out: Path
    starts: list[dict[str, Any]] = field(default_factory=list)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    """First and last second of each log that has any."""
    workers: dict[int, int] = field(default_factory=dict)
    """Number of the generator that wrote each log; those of a lone one are not in it."""
    ended: set[int] = field(default_factory=set)
    """Logs whose generator ended in order."""
    torn_lines: int = 0
    late_rows: int = 0

    def seconds(self) -> Iterator[RawSecond]:
        """Every second that is in a log, once, in order."""
        waiting: dict[int, RawSecond] = {}
        done = -1
        logs = [self._rows(log, path, shift_s) for log, (path, shift_s) in enumerate(self._files())]
        for _, log, row in heapq.merge(*logs, key=lambda found: found[0]):
            second = row["second"]
            first, last = self.spans.get(log, (second, second))
            self.spans[log] = (min(first, second), max(last, second))
            if second <= done:
                self.late_rows += 1
                continue
            waiting.setdefault(second, RawSecond(second)).add(row, log)
            if len(waiting) > 2 * KEEP_OPEN:
                for key in sorted(waiting)[:KEEP_OPEN]:
                    done = key
                    yield waiting.pop(key)
        for key in sorted(waiting):
            yield waiting[key]

    def _files(self) -> Iterator[tuple[Path, int]]:
        shifts = read_shifts(self.out)
        for path in raw_files(self.out):
            yield path, shifts.get(path.name, 0)

    def _rows(self, log: int, path: Path, shift_s: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """The newest second so far, the log, and a row, for each second in it."""
        newest = 0
        with path.open("rb") as file:
            for line in file:
                row = _row(line) if line.endswith(b"\n") else None
                match None if row is None else row.get("kind"):
                    case None:
                        self.torn_lines += 1
                    case "start" if row is not None:
                        self.starts.append({**row, "origin_wall_s": row["origin_wall_s"] + shift_s})
                        if "worker" in row:
                            self.workers[log] = row["worker"]
                    case "end":
                        self.ended.add(log)
                    case "second" if row is not None:
                        row["second"] += shift_s
                        newest = max(newest, row["second"])
                        yield newest, log, row
