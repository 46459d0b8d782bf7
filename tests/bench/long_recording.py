"""
The feature matrix of a day that came from a Prometheus: 1,400 series, a sample every 15 s, in 1,440 chunk files of a minute.

``python -m tests.bench.long_recording FOLDER`` makes it once, in a process whose peak of memory is its own, and prints what it
took as JSON; ``python -m tests.bench.long_recording --write FOLDER CHUNKS`` writes the recording.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import ROUNDS, machine, peak_rss_bytes

START_S, DAY_S, STEP_S = 1_790_000_010, 86_400, 15
SCRAPES = DAY_S // STEP_S
SERVICES, ROUTES = 20, 4
EDGES = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
CONTAINER_GAUGES = ("container_memory_working_set_bytes", "container_memory_rss", "container_threads", "container_file_descriptors")
CONTAINER_COUNTERS = ("container_cpu_usage_seconds_total", "container_fs_reads_bytes_total", "container_fs_writes_bytes_total")
PROCESS_GAUGES = ("up", "scrape_duration_seconds", "process_resident_memory_bytes", "process_open_fds")
UNWANTED = ("scrape_samples_scraped", "go_goroutines", "go_memstats_alloc_bytes")
COLUMNS = 17
"""What the catalogue makes of a service."""
RATE_PER_S = 3.0
JITTER = 0.4
"""Containers are looked at up to this share of an interval early or late, and their samples have those times."""
GOALS = {"matrix.day.cpu": Goal("<=", 2.0), "matrix.day.rss": Goal("<=", 350e6)}
CHUNKS = 1440


@dataclass(slots=True)
class Made:
    """Series with all their labels, their times in ms ``(m,)``, and their values ``(m,)``."""

    rng: np.random.Generator
    labels: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    times: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, name: str, labels: dict[str, str], times: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """One more series."""
        self.labels.append(tuple(sorted({**labels, "__name__": name}.items())))
        self.times.append(times)
        self.values.append(values)

    def service(self, number: int) -> None:
        """One service in one pod that starts again at noon: its own metrics, and its container's."""
        scheduled_ms = START_S * 1000 + 1000 * STEP_S * np.arange(SCRAPES)
        scraped_ms = scheduled_ms + int(self.rng.integers(1000 * STEP_S)) + self.rng.integers(-3, 4, SCRAPES)
        seen_ms = scheduled_ms + np.rint(self.rng.uniform(-JITTER, JITTER, SCRAPES) * 1000 * STEP_S).astype(np.int64)
        pod = {"namespace": "shop", "pod": f"service-{number:02d}-7d9f8c6b5f-x2x4z"}
        own = {**pod, "job": "shop", "instance": f"10.0.0.{number}:80"}
        for route in range(ROUTES):
            labels = {**own, "method": "GET", "route": f"/route/{route}", "status_code": "200"}
            arrived = self.counted(self.rng.poisson(RATE_PER_S * STEP_S, SCRAPES))
            for edge, share in zip(EDGES, np.linspace(0.1, 1.0, len(EDGES)), strict=True):
                self.add("request_duration_seconds_bucket", {**labels, "le": edge}, scraped_ms, np.floor(arrived * share))
            self.add("request_duration_seconds_count", labels, scraped_ms, arrived)
            self.add("request_duration_seconds_sum", labels, scraped_ms, arrived * 0.02)
        for name in (*PROCESS_GAUGES, *UNWANTED):
            self.add(name, own, scraped_ms, np.ones(SCRAPES) if name == "up" else np.rint(1e7 + 1e5 * self.rng.normal(size=SCRAPES)))
        inside = {
            **pod,
            "job": "kubelet",
            "instance": "10.0.0.250:10250",
            "container": f"service-{number:02d}",
            "id": f"/kubepods/{number}",
        }
        for name in CONTAINER_GAUGES:
            self.add(name, inside, seen_ms, np.rint(6e7 + 1e6 * self.rng.normal(size=SCRAPES)))
        for name in CONTAINER_COUNTERS:
            self.add(name, inside, seen_ms, self.counted(self.rng.random(SCRAPES)))

    @staticmethod
    def counted(added: NDArray[Any]) -> NDArray[np.float64]:
        """A counter of what was *added*, that begins again in the middle."""
        counter = np.cumsum(added).astype(np.float64)
        counter[SCRAPES // 2 :] -= counter[SCRAPES // 2 - 1]
        return counter


def write(folder: Path, chunks: int) -> int:
    """Write the day into *folder* in windows of equal length, as an import does; the number of samples."""
    from tasks.telemetry.prometheus.batch import Batch
    from tasks.telemetry.prometheus.writer import WindowWriter

    day = Made(np.random.default_rng(3))
    for number in range(SERVICES):
        day.service(number)
    ends_ms = (START_S + np.linspace(0, DAY_S + STEP_S, chunks + 1)[1:]) * 1000
    cuts = [np.concatenate([[0], np.searchsorted(times, ends_ms, side="right")]) for times in day.times]
    writer, rows = WindowWriter(folder), 0
    for number, end_ms in enumerate(ends_ms.tolist()):
        parts = [slice(cut[number], cut[number + 1]) for cut in cuts]
        batch = Batch(
            labels=tuple(day.labels),
            counts=np.array([part.stop - part.start for part in parts], dtype=np.int64),
            time_ms=np.concatenate([times[part] for times, part in zip(day.times, parts, strict=True)]),
            value=np.concatenate([values[part] for values, part in zip(day.values, parts, strict=True)]),
        )
        rows += writer.write([[batch]], int(end_ms))
    writer.close()
    return rows


def built(folder: Path) -> dict[str, Any]:
    """Make the matrix of the recording in *folder* once: what it took, and what must be true of it."""
    from tasks.features.build import build
    from tasks.features.config import FeaturesConfig

    settings = FeaturesConfig(grid_s=STEP_S, rate_window_s=4.0 * STEP_S)
    begun_s = time.process_time()
    matrix = build(folder, settings, start_s=START_S, end_s=START_S + DAY_S - STEP_S)
    cpu_s = time.process_time() - begun_s
    rates = matrix.values[8:, [place for place, name in enumerate(matrix.names) if name.endswith("/request_rate_per_s")]]
    return {
        "cpu_s": cpu_s,
        "process_cpu_s": time.process_time(),
        "rss_bytes": peak_rss_bytes(),
        "columns": len(matrix.names),
        "rate_per_s": float(np.nanmean(rates)),
        "masked_ratio": float((~matrix.valid[8:] & ~matrix.undefined[8:]).mean()),
        "heavy": sorted({"pandas", "sklearn", "prefect"} & set(sys.modules)),
    }


def _sound(told: dict[str, Any]) -> bool:
    """Whether the rates that came out are those that went in, nothing was lost, and nothing heavy was imported."""
    return (
        abs(told["rate_per_s"] / (RATE_PER_S * ROUTES) - 1) < 0.01
        and told["columns"] == SERVICES * COLUMNS
        and told["masked_ratio"] == 0
        and told["heavy"] == []
    )


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time of the matrix, and the peak of resident memory of the whole process."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), CHUNKS)
        argv = [sys.executable, "-m", "tests.bench.long_recording", place]
        said = [json.loads(subprocess.run(argv, capture_output=True, check=True).stdout) for _ in range(ROUNDS)]
    sound = all(_sound(one) for one in said)
    figures = {
        "matrix.day.cpu": (statistics.median(one["cpu_s"] for one in said), "cpu s"),
        "matrix.day.rss": (statistics.median(one["rss_bytes"] for one in said), "bytes"),
    }
    for name, (value, unit) in figures.items():
        if name in only:
            yield made(name, value, unit, machine=machine(), goal=GOALS[name], sound=sound)


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        print(write(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        print(json.dumps(built(Path(sys.argv[1]))))
