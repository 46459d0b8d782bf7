"""What watching costs: collector and supervisor while eight services are scraped and accounted every second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tasks.base.process import ProcessId, identify
from tasks.cluster import procfs
from tasks.cluster.remains import supervisor_of
from tasks.load.config import Constant, LoadConfig
from tasks.load.runner import LoadRun
from tasks.recordings.deployment import LocalDeployed
from tasks.telemetry.config import ScrapeSource, TelemetryConfig
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.runner import Collector
from tests.bench.demo_shop import demo_shop
from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import ROUNDS, machine

WARMUP_S, WINDOW_S = 5.0, 12.0
USERS = 20
CPU_GOAL, MEMORY_GOAL = Goal("<", 0.05), Goal("<", 120e6)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of both processes together."""

    cores: float
    """Median over the windows."""
    rss_bytes: int
    """Largest sum at the end of a window; pages that both share count twice."""
    pss_bytes: int
    """The same with shared pages split among those who share them."""


def spent(processes: tuple[ProcessId, ...]) -> float:
    """
    Processor seconds of *processes* so far, by the kernel.

    Raises:
        OSError: One is gone.
    """
    total = 0.0
    for one in processes:
        found = procfs.stat(one.pid)
        if found is None or identify(one.pid) != one:
            raise OSError(f"process {one.pid} ended while it was measured")
        total += procfs.own_cpu_s(one.pid, found)
    return total


def watched(processes: tuple[ProcessId, ...], collector: Collector, load: LoadRun | None) -> Cost:
    """What *processes* cost over three windows, after a warm-up."""
    cores, rss, pss = [], [], []
    _wait(WARMUP_S, collector, load)
    for _ in range(ROUNDS):
        before, begun_s = spent(processes), time.monotonic()
        _wait(WINDOW_S, collector, load)
        cores.append((spent(processes) - before) / (time.monotonic() - begun_s))
        rss.append(sum(psutil.Process(one.pid).memory_info().rss for one in processes))
        pss.append(sum(psutil.Process(one.pid).memory_full_info().pss for one in processes))
    return Cost(statistics.median(cores), max(rss), max(pss))


def _wait(seconds: float, collector: Collector, load: LoadRun | None) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if collector.keep() or (load is not None and load.keep() is not None):
            raise OSError("the collector or the load died while it was measured")
        time.sleep(0.5)


def costs(deployed: LocalDeployed, folder: Path) -> tuple[Cost, Cost]:
    """Without and with load."""
    plan = ScrapePlan.of(ScrapeSource(), TelemetryConfig().flush_s, deployed.targets, folder / "recording")
    collector = Collector.start(plan)
    try:
        collector.ready()
        both = (collector.process, supervisor_of(deployed.handle.state_dir))
        processes = tuple(one for one in both if one is not None)
        if len(processes) != len(both):
            raise OSError("the collector or the supervisor is not there")
        idle = watched(processes, collector, None)
        settings = LoadConfig(users=Constant(shape="constant", users=USERS))
        load = LoadRun.start(settings, host=deployed.address, seed=1, out=folder / "load")
        try:
            loaded = watched(processes, collector, load)
        finally:
            load.stop()
    finally:
        status = collector.stop()
    if status.chunk < 2 * ROUNDS or status.down:
        raise OSError(f"the shop was not scraped all the time: {status}")
    return idle, loaded


def measure(only: frozenset[str]) -> Iterator[Row]:
    """The demo shop at rest and under twenty users; memory at its largest."""
    with demo_shop() as (deployed, folder):
        idle, loaded = costs(deployed, folder)
    rows = (
        made("scrape.cpu", loaded.cores, "cores", machine=machine(), goal=CPU_GOAL),
        made("scrape.cpu.idle", idle.cores, "cores", machine=machine(), goal=CPU_GOAL),
        made("scrape.rss", max(idle.rss_bytes, loaded.rss_bytes), "bytes", machine=machine(), goal=MEMORY_GOAL),
        made("scrape.pss", max(idle.pss_bytes, loaded.pss_bytes), "bytes", machine=machine(), goal=MEMORY_GOAL),
    )
    yield from (row for row in rows if row.name in only)
