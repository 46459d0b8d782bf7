"""The load as it was: the generator's logs become two tables, and the tables become columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.base.errors import StorageError
from tasks.base.parquet import read_table, write_table
from tasks.load.attendance import lacking, restarts_of
from tasks.load.columns import Cells, numbers, running_sum
from tasks.load.fidelity import Generator, Limits, Machine, reasons
from tasks.load.plan import GeneratorPlan, read_plan
from tasks.load.raw import RawReader, RawSecond
from tasks.load.tables import requests_table, seconds_table

CHUNK = 3600
"""Seconds whose requests are turned into a table at a time."""

LONGEST_HOLE_S = 7 * 86_400
"""A longer hole is a clock that was set, not a generator that was away."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What :func:`finish` wrote."""

    seconds: int
    requests: int
    degraded_s: int
    missing_s: int
    """Seconds between the first and the last that no log has (their counts are 0), or that one of several generators lacks."""
    torn_lines: int
    late_rows: int
    """Rows that were left out because they came more than ten minutes out of order."""


def finish(out: Path, *, machine: Machine | None = None) -> Finished:
    """
    Merge the raw logs in *out* into ``requests.parquet`` and ``seconds.parquet``. Doing it twice gives the same files.

    Args:
        out: The folder given to :meth:`tasks.load.runner.LoadRun.start`.
        machine: What the machine did meanwhile, when known.

    Raises:
        StorageError: There is no second in any log, the clock jumped by more than a week, or the disk is full.
    """
    plan = read_plan(out / "generator-000001.json")
    reader = RawReader(out)
    rows: list[RawSecond] = []
    tables: list[pa.Table] = []
    for chunk in _chunks(reader.seconds()):
        tables.append(requests_table(chunk))
        for row in chunk:
            gap = _between(rows[-1].second, row.second, plan, reader) if rows else []
            row.endpoints = {}  # in the table already
            rows += [*gap, row]
    if not rows:
        raise StorageError(f"the load in {out} has no complete second", next_step=f"see {out / 'generator.log'}")
    limits = Limits(cpu_ratio=plan.cpu_limit_ratio, rss_bytes=plan.memory_limit_bytes)
    missing = lacking(rows, reader, plan.workers)
    why = reasons(_generator(rows, missing), limits, restarts=restarts_of(reader), machine=machine)
    requests = pa.concat_tables(tables)
    write_table(out / "requests.parquet", requests)
    write_table(out / "seconds.parquet", seconds_table(rows, why))
    total = int(numbers(requests["requests"], np.int32).sum())
    return Finished(len(rows), total, sum(map(bool, why)), sum(missing), reader.torn_lines, reader.late_rows)


def _chunks(seconds: Iterator[RawSecond]) -> Iterator[list[RawSecond]]:
    chunk: list[RawSecond] = []
    for second in seconds:
        chunk.append(second)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _between(last: int, following: int, plan: GeneratorPlan, reader: RawReader) -> list[RawSecond]:
    """Rows for seconds without a log: what was planned, and nothing done."""
    if following - last <= 1 or not reader.starts:
        return []
    if following - last > LONGEST_HOLE_S:
        raise StorageError(f"the load's clock jumped by {(following - last) // 3600} hours", next_step=f"see {reader.out}")
    curve = plan.line.curve()
    origin_s = reader.starts[0]["origin_wall_s"] - plan.offset_s
    users = {second: curve.mean(second - origin_s, second + 1.0 - origin_s) for second in range(last + 1, following)}
    return [RawSecond(second, users_planned=mean, journeys_planned=mean * plan.rate_per_user_per_s) for second, mean in users.items()]


def _generator(rows: Sequence[RawSecond], missing: Sequence[bool]) -> Generator:
    return Generator(
        second=np.array([row.second for row in rows], dtype=np.int64),
        users_planned=np.array([row.users_planned for row in rows]),
        users_present=np.array([row.users_present for row in rows], dtype=np.int32),
        cpu_ratio=np.array([row.cpu_ratio for row in rows]),
        rss_bytes=np.array([row.rss_bytes for row in rows], dtype=np.int64),
        late_s=np.array([row.late_s for row in rows]),
        missing=np.array(missing, dtype=bool),
    )


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """
    A load, one row a second without holes; ``n`` seconds, ``e`` endpoints.

    Ratios and quantiles are float64 with NaN where nothing was there to measure. A window of w seconds ends with its own row and
    is shorter at the start.
    """

    second: NDArray[np.int64]
    """Seconds since 1970 (UTC), shape ``(n,)``: a row covers [second, second + 1)."""
    users_planned: NDArray[np.float64]
    users_present: NDArray[np.int32]
    journeys_planned: NDArray[np.float64]
    journeys_started: NDArray[np.int32]
    journeys_completed: NDArray[np.int32]
    generator_cpu_ratio: NDArray[np.float64]
    generator_rss_bytes: NDArray[np.int64]
    reasons: tuple[tuple[str, ...], ...]
    """Why each second is degraded; empty: it is fine."""
    endpoints: tuple[str, ...]
    """Method and path template, in alphabetical order."""
    requests: NDArray[np.int64]
    """Shape ``(n, e)``, by the second in which the reply was complete."""
    failures: NDArray[np.int64]
    """Transport errors, 5xx and unexpected 4xx; shape ``(n, e)``."""
    declined: NDArray[np.int64]
    """Refusals by the rules of the shop (406); shape ``(n, e)``; no failures."""
    own: Cells
    """Latency from the send."""
    intended: Cells
    """Latency from the intended start: the lag of the journey + own."""

    @property
    def degraded(self) -> NDArray[np.bool_]:
        """Whether each second is degraded, shape ``(n,)``."""
        return np.array([bool(reason) for reason in self.reasons], dtype=bool)

    def endpoint_quantile(self, q: float, *, latency: Literal["own", "intended"] = "intended", window_s: int = 1) -> NDArray[np.float64]:
        """The *q* quantile of each endpoint's latency in seconds, shape ``(n, e)``; NaN without requests; relative error <= 2 %."""
        cells = self.own if latency == "own" else self.intended
        return cells.quantiles(q, shape=self.requests.shape, window=window_s)

    def error_ratio(self, *, window_s: int = 1) -> NDArray[np.float64]:
        """Failures over requests, all endpoints together, shape ``(n,)``; NaN without requests."""
        return _ratio(running_sum(self.failures.sum(axis=1), window_s), running_sum(self.requests.sum(axis=1), window_s))

    def achieved_over_planned(self, *, window_s: int = 1) -> NDArray[np.float64]:
        """Completed over planned journeys, shape ``(n,)``; NaN where none were planned. A single second is noisy: use a window."""
        return _ratio(running_sum(self.journeys_completed, window_s), running_sum(self.journeys_planned, window_s))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 1e-9), dtype=np.float64)


def read_history(folder: Path) -> LoadHistory:
    """
    The load in *folder* (a recording's ``load``), its checksums verified.

    Raises:
        StorageError: A table is missing or damaged, or its seconds have holes.
    """
    seconds, requests = read_table(folder / "seconds.parquet"), read_table(folder / "requests.parquet")
    second = numbers(seconds["second"], np.int64)
    if len(second) and not np.array_equal(second, np.arange(second[0], second[0] + len(second))):
        raise StorageError(f"{folder / 'seconds.parquet'} has holes", next_step="tidegauge runs verify latest --read-data")
    names = requests["endpoint"].to_pylist()
    endpoints = tuple(sorted(set(names)))
    place = {name: index for index, name in enumerate(endpoints)}
    column = np.array([place[name] for name in names], dtype=np.int64)
    row = numbers(requests["second"], np.int64) - (second[0] if len(second) else 0)

    def grid(name: str) -> NDArray[np.int64]:
        values = np.zeros((len(second), len(endpoints)), dtype=np.int64)
        np.add.at(values, (row, column), numbers(requests[name], np.int32))
        return values

    return LoadHistory(
        second=second,
        users_planned=numbers(seconds["users_planned"], np.float64),
        users_present=numbers(seconds["users_present"], np.int32),
        journeys_planned=numbers(seconds["journeys_planned"], np.float64),
        journeys_started=numbers(seconds["journeys_started"], np.int32),
        journeys_completed=numbers(seconds["journeys_completed"], np.int32),
        generator_cpu_ratio=numbers(seconds["generator_cpu_ratio"], np.float64),
        generator_rss_bytes=numbers(seconds["generator_rss_bytes"], np.int64),
        reasons=tuple(map(tuple, seconds["reasons"].to_pylist())),
        endpoints=endpoints,
        requests=grid("requests"),
        failures=grid("failures"),
        declined=grid("declined"),
        own=Cells.of(row, column, requests["own_bucket"], requests["own_count"]),
        intended=Cells.of(row, column, requests["intended_bucket"], requests["intended_count"]),
    )
