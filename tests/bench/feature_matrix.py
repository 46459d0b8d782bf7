"""The whole feature matrix of a recording of eight minutes: rates, quantiles and ratios of 2,500 series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Matrix
from tasks.telemetry.series import Series
from tests.bench.pivot import START_S, Raw
from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import in_turn, machine

SERVICES = 8
SECONDS = 480
ROUTES = 20
EDGES = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
GAUGES = ("container_memory_working_set_bytes", "container_memory_rss", "container_threads", "container_processes", "database_bytes")
COUNTERS = ("container_cpu_usage_seconds_total", "container_fs_writes_bytes_total", "process_cpu_seconds_total", "orders_placed_total")
RATE_PER_S = 2.0
GOAL = Goal("<=", 0.3)


@dataclass(slots=True)
class Recording:
    """Series and their samples, made one by one."""

    rng: np.random.Generator
    series: list[Series]
    values: list[NDArray[np.float64]]

    def add(self, service: str, role: str, name: str, labels: dict[str, str], values: NDArray[np.float64]) -> None:
        """One more series."""
        self.series.append(Series(len(self.series), name, service, role, labels))
        self.values.append(values)

    def histogram(self, service: str, route: str) -> None:
        """A route's requests and how long they took, as cumulative counters; the service starts again in the middle."""
        labels = {"service": service, "method": "GET", "route": route, "status_code": "200"}
        arrived = self.rng.poisson(RATE_PER_S, SECONDS)
        shares = np.linspace(0.1, 1.0, len(EDGES))
        cumulative = np.cumsum(arrived)[:, None] * shares
        cumulative[SECONDS // 2 :] -= cumulative[SECONDS // 2 - 1]
        for place, edge in enumerate(EDGES):
            self.add(service, "service", "request_duration_seconds_bucket", {**labels, "le": edge}, cumulative[:, place])
        self.add(service, "service", "request_duration_seconds_count", labels, cumulative[:, -1])
        self.add(service, "service", "request_duration_seconds_sum", labels, cumulative[:, -1] * 0.02)


def recorded(rng: np.random.Generator) -> tuple[tuple[Series, ...], Raw]:
    """Eight services scraped every second for eight minutes."""
    made_up = Recording(rng, [], [])
    for number in range(SERVICES):
        service = f"service-{number}"
        for route in range(ROUTES):
            made_up.histogram(service, f"/route/{route}")
        for role, names in (("container", GAUGES[:4]), ("service", GAUGES[4:])):
            for name in names:
                made_up.add(service, role, name, {}, 1e7 + rng.normal(size=SECONDS))
        for role, names in (("container", COUNTERS[:2]), ("service", COUNTERS[2:])):
            for name in names:
                made_up.add(service, role, name, {}, np.cumsum(rng.random(SECONDS)))
        for extra in range(20):
            made_up.add(service, "service", f"something_else_{extra}", {}, rng.normal(size=SECONDS))
    count = len(made_up.series)
    second_ms = (1000 * (START_S + np.arange(SECONDS))).astype(np.int64)
    offsets = np.array([7 * int(one.service[-1]) + 3 * (one.role == "container") for one in made_up.series])
    times = (second_ms[None, :] + offsets[:, None]).ravel()
    return tuple(made_up.series), Raw(np.repeat(np.arange(count, dtype=np.int32), SECONDS), times, np.concatenate(made_up.values))


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time; the request rates that come out must be those that went in."""
    series, raw = recorded(np.random.default_rng(2))
    settings = FeaturesConfig(profile="short", grid_s=1, rate_window_s=5)

    def act() -> Matrix:
        return build_from(series, raw, settings, start_s=START_S, end_s=START_S + SECONDS - 1)

    (taken,) = in_turn(act, rounds=5)
    found = taken.result.values[10:, taken.result.names.index("service-0/request_rate_per_s")]
    sound = bool(abs(float(np.mean(found)) / (RATE_PER_S * ROUTES) - 1) < 0.05) and len(series) >= 2450
    yield made("matrix.build", taken.cpu, "cpu s", machine=machine(), goal=GOAL, sound=sound)
