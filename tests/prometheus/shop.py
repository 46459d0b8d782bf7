"""The metrics of a small shop as a Prometheus scraped them, decided beforehand: three services, and one that fails for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.prometheus.history import Course

SERVICES = ("front-end", "orders", "carts")
EDGES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, np.inf)
REQUESTS_PER_S = 12.0
USUAL_S = 0.03
"""Median latency of a request."""
SLOWER = 8.0
FAILING = 0.4
"""Share of the requests that fail while the fault is there."""


def shop(time_ms: NDArray[np.int64], *, target: str, faults_ms: Sequence[tuple[int, int]], seed: int = 1) -> list[Course]:
    """
    All series of the shop, scraped at *time_ms*; in each of *faults_ms* (from, to) the service *target* is slow, and fails.

    Latency is a histogram with the status as a label, as the Sock Shop has it; no caller is slow with it.
    """
    rng = np.random.default_rng(seed)
    ill = np.any([(time_ms > start) & (time_ms <= end) for start, end in faults_ms] or [np.zeros(len(time_ms), bool)], axis=0)
    well = np.zeros(len(time_ms), bool)
    return [course for name in SERVICES for course in _service(name, time_ms, ill if name == target else well, rng)]


def _service(name: str, time_ms: NDArray[np.int64], ill: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Course]:
    labels = {"job": name, "instance": f"{name}:80"}
    steps = len(time_ms)
    yield Course.of({"__name__": "up", **labels}, time_ms, np.ones(steps))
    yield Course.of({"__name__": "scrape_duration_seconds", **labels}, time_ms, 0.004 + 0.001 * rng.random(steps))
    yield Course.of({"__name__": "process_cpu_seconds_total", **labels}, time_ms, np.cumsum(0.5 + 0.05 * rng.random(steps)))
    yield Course.of({"__name__": "process_resident_memory_bytes", **labels}, time_ms, 8e7 + 4096.0 * rng.integers(0, 50, steps))
    step_s = float(np.median(np.diff(time_ms))) / 1000
    for status, share in {"200": np.where(ill, 1 - FAILING, 1.0), "500": np.where(ill, FAILING, 0.0)}.items():
        requests = rng.poisson(REQUESTS_PER_S * step_s * share)
        yield from _histogram({**labels, "status_code": status}, time_ms, requests, np.where(ill, SLOWER, 1.0) * USUAL_S, rng)


def _histogram(
    labels: Mapping[str, str],
    time_ms: NDArray[np.int64],
    requests: NDArray[np.int64],
    median_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> Iterator[Course]:
    taken = [median * np.exp(0.4 * rng.standard_normal(count)) for count, median in zip(requests.tolist(), median_s.tolist(), strict=True)]
    name = "request_duration_seconds"
    yield Course.of({"__name__": f"{name}_count", **labels}, time_ms, np.cumsum(requests))
    yield Course.of({"__name__": f"{name}_sum", **labels}, time_ms, np.cumsum([one.sum() for one in taken]))
    for edge in EDGES_S:
        below = np.cumsum([np.count_nonzero(one <= edge) for one in taken])
        yield Course.of({"__name__": f"{name}_bucket", **labels, "le": "+Inf" if np.isinf(edge) else f"{edge:g}"}, time_ms, below)
