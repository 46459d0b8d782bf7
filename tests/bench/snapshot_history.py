"""
The history that snapshots are measured on: what a typical exporter shows, in a real database.

``python -m tests.bench.snapshot_history [HOURS]`` builds it and prints what it holds.

Twenty targets of 50 series, scraped every 5 s. Of each target's 50 series

- 14 are a latency histogram: 12 buckets and a count, integer counters, and a sum with all its digits;
- 8 are integer counters, from bytes sent (large steps) to errors (hardly any);
- 7 are float counters: processor seconds with two decimals, disk seconds with three, a duration with all digits;
- 9 are gauges with few digits: bytes in whole pages, threads, files, loads with two decimals, a temperature with one;
- 4 are gauges with all digits: ratios and means;
- 8 are constants: limits, sizes, a start time, and ones.

Traffic follows a slow wave. Each target has its own place within the 5 s; one scrape in twenty comes up to 40 ms late, as the
server notes only what is more than 2 ms beside its plan. Two targets restart half-way: their counters begin at zero.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.rows import FIGURES
from tests.prometheus.history import START_MS, Course, write_blocks
from tests.prometheus.servers import block_bytes, block_samples

CACHE = FIGURES.parent / "snapshot"
JOB = "typical"
SELECTOR = f'{{job="{JOB}"}}'
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
SHARES = (0.08, 0.17, 0.3, 0.2, 0.12, 0.07, 0.03, 0.015, 0.009, 0.004, 0.001, 0.001)
RESTARTED = (3, 11)
WAVE_S = 10_800

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is built: the same recipe is the same samples."""

    hours: int = 6
    targets: int = 20
    step_s: int = 5
    seed: int = 1

    @property
    def scrapes(self) -> int:
        """Samples of a series."""
        return self.hours * 3600 // self.step_s

    @property
    def samples(self) -> int:
        """Of all series."""
        return 50 * self.targets * self.scrapes

    @property
    def end_ms(self) -> int:
        """The first moment after it; it begins at ``START_MS``."""
        return START_MS + self.hours * 3_600_000

    def key(self) -> str:
        """Changes with the recipe and with this file."""
        source = Path(__file__).read_text() + json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(source.encode()).hexdigest()[:12]

    def courses(self) -> list[Course]:
        """All its samples."""
        return [course for target in range(self.targets) for course in self._target(target)]

    def _target(self, target: int) -> Iterator[Course]:
        rng = np.random.default_rng([self.seed, target])
        place = self.step_s * np.arange(self.scrapes)
        late = np.where(rng.random(self.scrapes) < 0.05, rng.integers(3, 41, self.scrapes), 0)
        time_ms = START_MS + int(rng.integers(1, 1000 * self.step_s - 50)) + 1000 * place + late
        load = 1 + 0.5 * np.sin(2 * np.pi * (place / WAVE_S + rng.random()))
        restart = self.scrapes // 2 + 17 * target if target in RESTARTED else None
        where = {"job": JOB, "instance": f"10.0.0.{target + 1}:8080"}
        for kind in (_histogram, _integer_counters, _float_counters, _short_gauges, _long_gauges, _constants):
            for labels, made in kind(rng, load):
                value = np.ascontiguousarray(_restarted(made, restart) if kind in _COUNTERS else made, np.float64)
                yield Course(tuple(sorted({**labels, **where}.items())), time_ms, value)


Kind = Callable[[np.random.Generator, Values], Iterator[tuple[Mapping[str, str], Values]]]


def _restarted(value: Values, at: int | None) -> Values:
    """A counter that begins anew at index *at*."""
    if at is None:
        return value
    return np.where(np.arange(len(value)) < at, value, value - value[at])


def _named(name: str, value: NDArray[Any], **labels: str) -> tuple[Mapping[str, str], Values]:
    return {"__name__": name, **labels}, value


def _histogram(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    counts = rng.multinomial(rng.poisson(30 * load), SHARES)
    for bound, value in zip(BOUNDS, np.cumsum(np.cumsum(counts, axis=1), axis=0).T, strict=True):
        yield _named("http_request_duration_seconds_bucket", value, le=bound)
    total = counts.sum(axis=1)
    yield _named("http_request_duration_seconds_count", np.cumsum(total))
    yield _named("http_request_duration_seconds_sum", np.cumsum(rng.gamma(np.maximum(total, 1e-9), 0.06)))


def _integer_counters(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    rates = {"200": 28.0, "404": 1.5, "500": 0.05}
    for code, rate in rates.items():
        yield _named("http_requests_total", np.cumsum(rng.poisson(rate * load)), code=code)
    for way, mean in (("receive", 2e5), ("transmit", 9e5)):
        yield _named(f"node_network_{way}_bytes_total", np.cumsum(rng.poisson(mean * load)), device="eth0")
    yield _named("go_memstats_mallocs_total", np.cumsum(rng.poisson(4e4 * load)))
    yield _named("node_context_switches_total", np.cumsum(rng.poisson(7e3 * load)))
    yield _named("errors_total", np.cumsum(rng.poisson(0.002 * load)))


def _float_counters(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    count = len(load)
    yield _named("process_cpu_seconds_total", np.cumsum(rng.poisson(40 * load)) / 100)
    for mode, ticks in (("user", 60 * load), ("system", 20 * load), ("iowait", np.full(count, 0.4)), ("idle", 500 - 80 * load)):
        yield _named("node_cpu_seconds_total", np.cumsum(rng.poisson(ticks)) / 100, cpu="0", mode=mode)
    yield _named("node_disk_io_time_seconds_total", np.cumsum(rng.poisson(9 * load)) / 1000, device="sda")
    ran = rng.random(count) < 0.15
    yield _named("go_gc_duration_seconds_sum", np.cumsum(np.where(ran, rng.gamma(2, 1e-4, count), 0)))


def _short_gauges(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    count = len(load)
    moved = np.cumsum(np.where(rng.random(count) < 0.3, rng.integers(-40, 41, count), 0))
    yield _named("process_resident_memory_bytes", 4096 * (30_000 + np.abs(moved)))
    yield _named("go_memstats_heap_inuse_bytes", 8192 * rng.integers(2000, 4000, count))
    yield _named("process_open_fds", 40 + rng.poisson(6 * load))
    yield _named("go_goroutines", 60 + rng.poisson(20 * load))
    yield _named("go_threads", 12 + np.cumsum(rng.random(count) < 0.0005))
    for name, inertia in (("node_load1", 0.08), ("node_load5", 0.02)):
        yield _named(name, np.round(_smooth(load + 0.4 * rng.normal(size=count), inertia), 2))
    yield _named("queue_depth", rng.poisson(2 * load))
    yield _named("node_hwmon_temp_celsius", np.round(45 + 8 * _smooth(load, 0.01) + rng.normal(0, 0.2, count), 1))


def _smooth(value: Values, inertia: float) -> Values:
    """An exponential mean, as the kernel makes of its loads."""
    weights = (1 - inertia) ** np.arange(min(len(value), int(12 / inertia)))
    return np.convolve(np.abs(value), weights * inertia)[: len(value)]


def _long_gauges(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    count = len(load)
    yield _named("cache_hit_ratio", rng.beta(90, 10, count))
    yield _named("request_latency_mean_seconds", 0.03 * load * rng.gamma(50, 0.02, count))
    yield _named("cpu_usage_ratio", np.minimum(1, 0.3 * load * rng.gamma(40, 1 / 40, count)))
    yield _named("go_memstats_gc_cpu_fraction", 0.001 * _smooth(load * rng.gamma(9, 1 / 9, count), 0.05))


def _constants(rng: np.random.Generator, load: Values) -> Iterator[tuple[Mapping[str, str], Values]]:
    begun_s = START_MS / 1000 - round(float(rng.uniform(1e4, 1e6)), 2)
    constants = {
        "target_healthy": 1.0,
        "build_info": 1.0,
        "process_start_time_seconds": begun_s,
        "process_max_fds": 1048576.0,
        "process_virtual_memory_max_bytes": 18446744073709551615.0,
        "machine_cpu_cores": 8.0,
        "node_memory_MemTotal_bytes": 33_565_937_664.0,
        "config_last_reload_successful": 1.0,
    }
    for name, value in constants.items():
        yield _named(name, np.full(len(load), value))


_COUNTERS: frozenset[Kind] = frozenset({_histogram, _integer_counters, _float_counters})


@dataclass(frozen=True, slots=True)
class Built:
    """Blocks in the cache."""

    recipe: Recipe
    data: Path
    """Holds nothing but blocks; a server is started on links to them, see :meth:`linked`."""
    samples: int
    """As the blocks say."""
    tsdb_bytes: int
    """Chunks and indexes."""

    def linked(self, data: Path) -> None:
        """Make *data* a database of these blocks, on the same disk and without copying: a server writes no file of a block anew."""
        shutil.copytree(self.data, data, copy_function=lambda source, target: Path(target).hardlink_to(source))


def built(recipe: Recipe) -> Built:
    """
    The blocks of *recipe*, made now if they are not in the cache.

    Raises:
        OSError: promtool refused them, or blocks hold another number of samples than the recipe.
    """
    folder = CACHE / f"{recipe.hours}h-{recipe.key()}"
    data = folder / "data"
    if not data.is_dir():
        for old in CACHE.glob(f"{recipe.hours}h-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        making = folder / "making"
        write_blocks(recipe.courses(), making)
        making.rename(data)
    samples = block_samples(data)
    if samples != recipe.samples:
        raise OSError(f"the blocks in {data} hold {samples} samples instead of {recipe.samples}")
    return Built(recipe, data, samples, block_bytes(data))


def main() -> None:
    """Build, and say what is there."""
    one = built(Recipe(hours=int(sys.argv[1]) if len(sys.argv) > 1 else Recipe().hours))
    print(f"{one.data}: {one.samples} samples in {one.tsdb_bytes} bytes, {one.tsdb_bytes / one.samples:.3f} a sample")


if __name__ == "__main__":
    main()
