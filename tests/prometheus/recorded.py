"""What a recording of a Prometheus holds, as courses; and the ways to one: the import, its command, a bare export."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.importing import PrometheusImport, Telling, import_prometheus
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.base.intervals import Interval
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.batch import Labels
from tasks.telemetry.prometheus.client import Client, Way
from tasks.telemetry.prometheus.export import Export
from tasks.telemetry.prometheus.selectors import parse_selector
from tasks.telemetry.prometheus.tally import Tally
from tasks.telemetry.prometheus.writer import WindowWriter
from tasks.telemetry.samples import read_samples, read_series
from tasks.telemetry.series import SeriesTable
from tests.prometheus.history import Course, write_blocks
from tests.prometheus.servers import Binary, Prometheus

EVERYTHING = '{__name__!=""}'
FOREVER = ("--storage.tsdb.retention.time=100y",)
"""For a server that is started on old blocks."""


@contextmanager
def serving(folder: Path, courses: Sequence[Course], binary: Binary | None = None) -> Iterator[Prometheus]:
    """A server in *folder* whose blocks hold *courses*, however old they are."""
    write_blocks(courses, folder / "data")
    with Prometheus(folder, binary=binary, flags=FOREVER) as started:
        yield started


def held(folder: Path) -> dict[Labels, Course]:
    """All samples of the recording in *folder*, verified, by the labels of their series; series without any are left out."""
    samples = read_samples(folder)
    found = {}
    for one in read_series(folder):
        first, last = np.searchsorted(samples.series, [one.id, one.id + 1])
        if last > first:
            course = Course.of({"__name__": one.name, **one.labels}, samples.time_ms[first:last], samples.value[first:last])
            found[course.labels] = course
    return found


def within(courses: Iterable[Course], start_ms: int, end_ms: int) -> list[Course]:
    """The parts of *courses* in [*start_ms*, *end_ms*], without those that have none."""
    parts = (course.between(start_ms, end_ms) for course in courses)
    return [part for part in parts if len(part.time_ms)]


def size(courses: Iterable[Course]) -> int:
    """How many samples they have."""
    return sum(len(course.time_ms) for course in courses)


def fingerprint(folder: Path, begin_ms: int = 0) -> str:
    """That of a certificate, counted anew from the files alone; of the samples from *begin_ms* on."""
    samples = read_samples(folder)
    kept = samples.time_ms >= begin_ms
    tally = Tally(SeriesTable(read_series(folder)))
    tally.add(samples.series[kept], samples.time_ms[kept], samples.value[kept])
    return f"{tally.fingerprint:016x}"


@dataclass(frozen=True, slots=True)
class Recording:
    """An imported recording."""

    record: Mapping[str, Any]
    """Of the run that made it, or found it."""
    ref: Ref
    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """Its ``recording.json``."""
        return dict(json.loads((self.folder / "recording.json").read_bytes()))

    @property
    def certificate(self) -> dict[str, Any]:
        """What is certified of its data."""
        return dict(self.facts["certificate"])

    @property
    def outcome(self) -> str:
        """``ran``, or ``cached`` where it was there."""
        return str(self.record["stages"][0]["outcome"])


def asked(url: str, start_ms: int, end_ms: int, **more: Any) -> PrometheusImport:
    """An import of everything in [*start_ms*, *end_ms*]; *more* as in :class:`PrometheusImport`."""
    span = Interval(start_ms / 1000, end_ms / 1000)
    return replace(PrometheusImport(Access(url), span, (EVERYTHING,), "imported", "training"), **more)


def imported(wanted: PrometheusImport, root: Path, said: list[str] | None = None) -> Recording:
    """*wanted*, imported into the store at *root*; every sentence on the way is put into *said*."""
    store = Store(root).create()
    record = import_prometheus(wanted, store, Telling(lambda _: None, [].append if said is None else said.append))
    ref = Ref.parse(record["artifacts"][wanted.stage])
    return Recording(record, ref, store.folder(ref))


def arguments(url: str, start_ms: int, end_ms: int, root: Path, *more: str) -> list[str]:
    """What is typed behind ``tidegauge`` for an import into the store at *root*."""
    span = ("--start", f"{start_ms / 1000:.3f}", "--end", f"{end_ms / 1000:.3f}")
    return ["import", "prometheus", url, *span, "--store", str(root), "--json", *more]


def command(url: str, start_ms: int, end_ms: int, root: Path, *more: str) -> list[str]:
    """The same as an argv that can be started."""
    return [sys.executable, "-m", "tidegauge", *arguments(url, start_ms, end_ms, root, *more)]


def export_to(folder: Path, url: str, way: Way | None = None, *, timeout_s: float = 30.0, deadline_s: float = 300.0, **more: Any) -> Export:
    """
    An export of everything into *folder*, not begun; its ``writer`` holds the folder.

    Args:
        folder: Made, or resumed.
        url: The server.
        way: None: the fastest that it offers.
        timeout_s: Of one request.
        deadline_s: Of one whole reply.
        more: As in :class:`Export`.
    """
    client = Client(DirectAdapter(Access(url)), timeout_s=timeout_s, deadline_s=deadline_s)
    facts = client.facts()
    facts = facts if way is None else replace(facts, way=way)
    return Export(client, facts, (parse_selector(EVERYTHING),), WindowWriter(folder), **more)
