"""
The unit costs that ``docs/scale.md`` reckons with.

Each is a row of the benchmark. ``unit_costs.json`` beside this file keeps the figures of the last ``make bench`` in three digits,
so that the page can be reckoned anew on any machine, and tested; ``make docs`` refreshes it from ``build/bench.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.base.files import read_json, write_json
from tests.bench.rows import Row

PLACE = Path(__file__).with_name("unit_costs.json")
Costs = Mapping[str, float | None]
"""Figures by the names of their rows; None: not measured yet."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure of the benchmark that is reckoned with."""

    row: str
    what: str
    """In words, with the size at which it was measured."""
    unit: str
    of: Literal["value", "ratio"] = "value"


COSTS = (
    Cost("snapshot.bytes_per_sample", "a sample out of a Prometheus in our store", "bytes"),
    Cost("snapshot.tsdb_ratio", "the same, over the server's own blocks", "", of="ratio"),
    Cost("snapshot.remote_read.wall", "import of 4.32 million samples (1,000 series, 6 h)", "s"),
    Cost("snapshot.server_cpu", "the server's processor for that", "cpu s"),
    Cost("snapshot.growth_10x", "import of ten times as long a window", "times"),
    Cost("snapshot.growth_10x.rss", "memory of that import (1,000 series, 60 h)", "bytes"),
    Cost("snapshot.tail.cpu", "one append to a recording that goes on: 1,000 series, 60 s, 12 samples each", "cpu s"),
    Cost("snapshot.tail.received", "bytes on the wire for each sample of such an append", "bytes"),
    Cost("kubelet.scrape.cpu", "recorder while 12 pods are scraped through the API server every 5 s", "cores"),
    Cost("kubelet.scrape.rss", "its memory", "bytes"),
    Cost("kubelet.scrape.api_cpu", "what the API server needs for it", "cores"),
    Cost("kubelet.scrape.received", "what comes through it", "bytes/s"),
    Cost("kubelet.scrape.samples", "samples that are written", "samples/s"),
    Cost("kube.pods", "list of 5,000 pods, page by page", "cpu s"),
    Cost("kube.pods.rss", "memory of that list", "bytes"),
    Cost("kube.pods.watch", "as many told by a watch", "cpu s"),
    Cost("kube.pods.watch.rss", "memory of that watch", "bytes"),
    Cost("load.generator.requests", "requests of one load generator per second of its processor", ""),
    Cost("load.generator.rss", "its memory", "bytes"),
    Cost("matrix.day.cpu", "feature matrix of a day (1,400 series, a sample every 15 s)", "cpu s"),
    Cost("matrix.day.rss", "memory of that", "bytes"),
    Cost("detectors.all_1e5x200", "all detectors trained and scoring, 100,000 rows of 200 columns", "cpu s"),
    Cost("evaluate.day.wall", "three days of 200 series from samples to the table", "s"),
    Cost("evaluate.day.rss", "memory of that", "bytes"),
)


def read_costs(place: Path = PLACE) -> dict[str, float | None]:
    """The kept figures, one for each of :data:`COSTS`."""
    kept = read_json(place) if place.is_file() else {}
    return {one.row: kept.get(one.row) for one in COSTS}


def refreshed(kept: Costs, rows: Iterable[Row]) -> dict[str, float | None]:
    """*kept* with what *rows* measured; what they did not measure stays."""
    found = {row.name: row for row in rows}
    made: dict[str, float | None] = {}
    for one in COSTS:
        row = found.get(one.row)
        value = None if row is None else row.ratio if one.of == "ratio" else row.value
        made[one.row] = kept.get(one.row) if value is None else float(f"{value:.3g}")
    return made


def refresh(rows: Iterable[Row], place: Path = PLACE) -> None:
    """Keep what *rows* measured in *place*, if that changes anything."""
    kept = read_costs(place)
    made = refreshed(kept, rows)
    if made != kept:
        write_json(place, made)
