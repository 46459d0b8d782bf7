"""The two tables of a load, as Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa

from tasks.load.raw import RawSecond
from tasks.load.tally import EndpointCount

REQUESTS = pa.schema(
    [
        ("second", pa.int64()),
        ("endpoint", pa.string()),
        ("requests", pa.int32()),
        ("failures", pa.int32()),
        ("declined", pa.int32()),
        ("own_bucket", pa.list_(pa.int16())),
        ("own_count", pa.list_(pa.int32())),
        ("intended_bucket", pa.list_(pa.int16())),
        ("intended_count", pa.list_(pa.int32())),
    ]
)
"""``requests.parquet``: one row for each second and endpoint that had a request, sorted by both."""
SECONDS = pa.schema(
    [
        ("second", pa.int64()),
        ("users_planned", pa.float64()),
        ("users_present", pa.int32()),
        ("journeys_planned", pa.float64()),
        ("journeys_started", pa.int32()),
        ("journeys_completed", pa.int32()),
        ("generator_cpu_ratio", pa.float64()),
        ("generator_rss_bytes", pa.int64()),
        ("reasons", pa.list_(pa.string())),
    ]
)
"""``seconds.parquet``: one row for each second from the first to the last."""


def requests_table(rows: Sequence[RawSecond]) -> pa.Table:
    """One row for each second and endpoint of *rows*, in their order, endpoints alphabetically."""
    cells = [(row.second, name, count) for row in rows for name, count in sorted(row.endpoints.items())]
    counts = [count for *_, count in cells]
    columns: list[Any] = [
        [second for second, *_ in cells],
        [name for _, name, _ in cells],
        *([count.requests for count in counts], [count.failures for count in counts], [count.declined for count in counts]),
        *_histograms(counts, "own"),
        *_histograms(counts, "intended"),
    ]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, REQUESTS, strict=True)], schema=REQUESTS)


def _histograms(counts: Sequence[EndpointCount], name: Literal["own", "intended"]) -> tuple[list[list[int]], list[list[int]]]:
    ordered = [sorted((count.own if name == "own" else count.intended).items()) for count in counts]
    return [[bucket for bucket, _ in items] for items in ordered], [[number for _, number in items] for items in ordered]


def seconds_table(rows: Sequence[RawSecond], why: Sequence[tuple[str, ...]]) -> pa.Table:
    """One row for each of *rows*, with the reasons for which it is degraded."""
    columns: list[list[Any]] = [
        *([row.second for row in rows], [row.users_planned for row in rows], [row.users_present for row in rows]),
        *([row.journeys_planned for row in rows], [row.journeys_started for row in rows], [row.journeys_completed for row in rows]),
        *([row.cpu_ratio for row in rows], [row.rss_bytes for row in rows], [list(reason) for reason in why]),
    ]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SECONDS, strict=True)], schema=SECONDS)
