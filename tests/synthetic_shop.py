"""What a shop would have looked like to the scraper and to the load generator: numbers from a seed, written by the real writers."""

from __future__ import annotations

import bisect
import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tasks.app.model import App
from tasks.base.parquet import write_table
from tasks.base.trials import Trial
from tasks.load.config import JourneySet
from tasks.load.raw import RawSecond
from tasks.load.tables import requests_table, seconds_table
from tasks.load.tally import Result, Tally
from tasks.telemetry.chunks import ChunkWriter

EDGES_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BASE_LATENCY_S = 0.004
BASE_RATE = 10.0
MODES = {"user": 0.35, "system": 0.15, "idle": 1.45, "iowait": 0.02, "irq": 0.0, "softirq": 0.02, "nice": 0.0, "steal": 0.01}


@dataclass(slots=True)
class Condition:
    """How a service is at one moment."""

    up: bool = True
    extra_s: float = 0.0
    """Added to the time of each answer."""
    errors: float = 0.0
    """Share of answers that are 500."""
    cpu: float = 0.05
    memory: float = 6e7
    scrape_s: float = 0.004
    traffic: float = 1.0
    """Share of the usual requests that arrive."""
    injected: float = 0.0
    """Share of requests that the proxy answers itself."""
    held_s: float = 0.0
    restarts: int = 0


@dataclass(slots=True)
class Shop:
    """An app under *trials*: condition of each service by moment, counters, samples."""

    app: App
    trials: Sequence[Trial]
    rng: random.Random
    counters: dict[tuple[str, str], float] = field(default_factory=dict)

    def condition(self, service: str, at_s: float) -> Condition:
        """How *service* is at *at_s*."""
        found = Condition(cpu=0.05 + 0.004 * self.rng.random(), memory=6e7 + 2e5 * self.rng.random())
        callees = {callee for caller, callee in self.app.edges if caller == service}
        for trial in self.trials:
            begun, ended = trial.windows.acknowledged, trial.windows.reverted
            if trial.placebo or begun is None or ended is None:
                continue
            if trial.target == service and at_s >= begun and trial.kind in ("crash", "memory_leak"):
                found.restarts += 1
            if begun <= at_s < ended:
                share = (at_s - begun) / (ended - begun)
                if trial.target == service:
                    _hit(found, trial.kind, trial.intensity, share)
                elif trial.target in callees or service == self.app.entry:
                    _suffer(found, trial.kind, trial.intensity)
        return found

    def _grow(self, service: str, name: str, by: float) -> float:
        key = (service, name)
        self.counters[key] = self.counters.get(key, 0.0) + by
        return self.counters[key]

    def service_rows(self, service: str, at_s: float, step_s: float) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """(role, metric, labels, value) of one scrape of *service*."""
        now = self.condition(service, at_s)
        yield "service", "up", {}, float(now.up)
        yield "service", "scrape_duration_seconds", {}, now.scrape_s + 0.0005 * self.rng.random()
        self._answer(service, now, step_s)
        if now.up:
            yield "service", "process_cpu_seconds_total", {}, self._grow(service, "process_cpu", now.cpu * step_s)
            yield "service", "process_resident_memory_bytes", {}, now.memory
            yield "service", "process_open_fds", {}, 24.0
            yield "service", "database_bytes", {}, 49152.0
            yield from self._histogram(service)
        labels = {"container": service}
        yield "container", "container_cpu_usage_seconds_total", labels, self._grow(service, "cpu", now.cpu * step_s)
        yield "container", "container_memory_working_set_bytes", labels, now.memory
        yield "container", "container_memory_rss", labels, now.memory * 0.9
        yield "container", "container_threads", labels, 5.0
        yield "container", "container_processes", labels, 1.0
        yield "container", "container_file_descriptors", labels, 26.0
        yield "container", "container_fs_writes_bytes_total", labels, self._grow(service, "writes", 4096 * self.rng.random())
        yield "container", "kube_pod_container_status_restarts_total", labels, float(now.restarts)

    def _answer(self, service: str, now: Condition, step_s: float) -> None:
        """Let a second's requests arrive and be answered."""
        asked = BASE_RATE * step_s * (1 + 0.1 * self.rng.random())
        self._grow(service, "proxy_requests_total", asked)
        self._grow(service, "proxy_errors_injected_total", asked * now.injected)
        self._grow(service, "proxy_held_seconds_total", asked * (now.held_s + 0.0002 * self.rng.random()))
        for _ in range(round(asked * now.traffic * (1 - now.injected)) if now.up else 0):
            code = "500" if self.rng.random() < now.errors else "200"
            took = BASE_LATENCY_S * self.rng.lognormvariate(0, 0.25) + now.extra_s
            self._grow(service, f"sum {code}", took)
            self._grow(service, f"count {code}", 1)
            for edge in EDGES_S[bisect.bisect_left(EDGES_S, took) :]:
                self._grow(service, f"{edge} {code}", 1)

    def _histogram(self, service: str) -> Iterator[tuple[str, str, dict[str, str], float]]:
        for code in ("200", "500"):
            labels = {"service": service, "method": "GET", "route": "/", "status_code": code}
            count = self.counters.get((service, f"count {code}"), 0.0)
            for edge in EDGES_S:
                value = self.counters.get((service, f"{edge} {code}"), 0.0)
                yield "service", "request_duration_seconds_bucket", {**labels, "le": str(edge)}, value
            yield "service", "request_duration_seconds_bucket", {**labels, "le": "+Inf"}, count
            yield "service", "request_duration_seconds_count", labels, count
            yield "service", "request_duration_seconds_sum", labels, self.counters.get((service, f"sum {code}"), 0.0)

    def harness_rows(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """What the proxy shows; the witness of what it does to requests."""
        yield "harness", "up", {}, 1.0
        for service in self.app.names:
            for name in ("proxy_requests_total", "proxy_errors_injected_total", "proxy_held_seconds_total"):
                yield "harness", name, {"service": service}, self.counters.get((service, name), 0.0)

    def node_rows(self, step_s: float) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """The machine's own metrics."""
        yield "node", "up", {}, 1.0
        for mode, cores in MODES.items():
            yield "node", "node_cpu_seconds_total", {"mode": mode}, self._grow("node", mode, cores * step_s)
        yield "node", "node_load1", {}, 0.8 + 0.02 * self.rng.random()
        yield "node", "node_memory_MemAvailable_bytes", {}, 4e9 + 1e5 * self.rng.random()


def _hit(found: Condition, kind: str, intensity: float, share: float) -> None:
    """What a fault of *kind* does to its target."""
    if kind in ("pause", "crash"):
        found.up, found.traffic, found.cpu, found.scrape_s = False, 0.0, 0.0, 1.0
    elif kind == "http_errors":
        found.injected = intensity
    elif kind == "latency":
        found.held_s = 0.5 * intensity
    elif kind == "cpu_squeeze":
        found.cpu, found.scrape_s, found.extra_s = found.cpu * (1 - intensity), 0.3 * intensity, 0.2 * intensity
    elif kind == "cpu_hog":
        found.cpu, found.extra_s = found.cpu + intensity, 0.05 * intensity
    elif kind == "memory_leak":
        found.memory += 1.5e8 * intensity * share


def _suffer(found: Condition, kind: str, intensity: float) -> None:
    """What it does to whoever calls the target."""
    if kind in ("pause", "crash", "http_errors"):
        found.errors = max(found.errors, 0.5 * intensity)
    else:
        found.extra_s = max(found.extra_s, 0.25 * intensity)


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where something is written: scrapes lie *step_s* apart."""

    start_s: float
    end_s: float
    step_s: float = 1.0
    hole: tuple[float, float] | None = None
    """A span without scrapes: the collector was away."""


def write_samples(folder: Path, shop: Shop, span: Span) -> None:
    """Scrape *shop* over *span* into *folder*; each target has its own moment within the second."""
    writer = ChunkWriter(folder)
    try:
        for scrape in range(int((span.end_s - span.start_s) / span.step_s) + 1):
            at_s = span.start_s + scrape * span.step_s
            rows = [(name, list(shop.service_rows(name, at_s, span.step_s))) for name in shop.app.names]
            rows += [("node", list(shop.node_rows(span.step_s))), ("fault-proxy", list(shop.harness_rows()))]
            if span.hole is None or not span.hole[0] <= at_s <= span.hole[1]:
                for place, (target, found) in enumerate(rows):
                    numbers = [writer.table.scraped(role, target, name, labels) for role, name, labels, _ in found]
                    writer.add(int(at_s * 1000) + 10 * place, numbers, [value for *_, value in found])
            if scrape % 15 == 14:
                writer.flush()
        writer.flush()
    finally:
        writer.close()


def write_load(folder: Path, shop: Shop, span: Span, journeys: JourneySet, degraded: frozenset[int]) -> None:
    """The load's two tables over *span*: twenty users, ten journeys a second; seconds *degraded* after the start fell short."""
    folder.mkdir(parents=True, exist_ok=True)
    first, tally, rows = int(span.start_s), Tally(), []
    requests = [request.endpoint for journey in journeys.journeys for request in journey.requests]
    for second in range(first, int(span.end_s)):
        entry = shop.condition(shop.app.entry, second + 0.5)
        for number in range(10 * len(requests) // len(journeys.journeys)):
            failed = shop.rng.random() < entry.errors
            own = 0.012 * shop.rng.lognormvariate(0, 0.25) + entry.extra_s
            tally.request(
                second, requests[number % len(requests)], Result.FAILED if failed else Result.OK, own_s=own, lag_s=0.001 * shop.rng.random()
            )
        counted = tally.second(second)
        rows.append(RawSecond(second, 20.0, 10.0, 10, 10, 0.0, 0.3, 9 << 20, {1: 20}, dict(counted.endpoints)))
    why = [("other-load",) if row.second - first in degraded else () for row in rows]
    write_table(folder / "requests.parquet", pa.Table.from_batches(requests_table(rows).to_batches()))
    write_table(folder / "seconds.parquet", seconds_table(rows, why))


def write_logs(folder: Path, app: App, span: Span) -> None:
    """A line of output of each service, as the supervisor keeps it."""
    (folder / "logs").mkdir()
    for service in app.names:
        (folder / "logs" / f"{service}.log.gz").write_bytes(gzip.compress(f"{int(span.start_s * 1000)}\tready\n".encode(), mtime=0))
