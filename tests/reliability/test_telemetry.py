"""The collector under kill -9, a full disk, a stop and a restarting target."""

from __future__ import annotations

import itertools
import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.telemetry.certificate import resets
from tasks.telemetry.gaps import Gap, gaps
from tasks.telemetry.ledger import numbers_in
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.targets import Target
from tests.telemetry.exporters import ok, serving
from tests.telemetry.source_contract import until

INTERVAL_S = 0.15
KILLS = 100


class ExporterProcess:
    """An exporter of its own process: each request raises ``ticks_total``, and its log tells what was served when."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "served.log"
        self._port_file = folder / "port"
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, on the port it had before."""
        self._port_file.unlink(missing_ok=True)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.telemetry.exporters", str(self._port_file), str(self.log), str(self.port)]
        )
        until(self._port_file.exists)
        self.port = int(self._port_file.read_text())

    def kill(self) -> None:
        """Kill it -9."""
        self.child.kill()
        self.child.wait()

    def served(self) -> list[tuple[float, int]]:
        """Wall time and value of each reply."""
        return [(float(at), int(count)) for at, count in (line.split() for line in self.log.read_text().splitlines())]


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    """A running exporter."""
    process = ExporterProcess(tmp_path)
    yield process
    process.kill()


def plan(out: Path, *ports: int, interval_s: float = INTERVAL_S) -> ScrapePlan:
    targets = tuple(Target(f"t{number}", "service", f"http://127.0.0.1:{port}/metrics") for number, port in enumerate(ports))
    return ScrapePlan(out, targets, interval_s=interval_s, timeout_s=interval_s, flush_s=interval_s)


def values_of(out: Path, samples: Samples, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Times in s and values of the one series called *name*."""
    (number,) = (one.id for one in read_series(out) if one.name == name)
    chosen = samples.series == number
    return samples.time_ms[chosen] / 1000, samples.value[chosen]


def rows(samples: Samples) -> dict[tuple[int, int], float]:
    return dict(zip(zip(samples.series.tolist(), samples.time_ms.tolist(), strict=True), samples.value.tolist(), strict=True))


def invented(out: Path, samples: Samples, served: list[tuple[float, int]]) -> int:
    """How many values were never served, served once but recorded twice, or recorded at another time than they were served."""
    when = {count: at for at, count in served}
    times, values = values_of(out, samples, "ticks_total")
    wrong = sum(
        int(value) not in when or not -0.05 < when[int(value)] - at < 2 * INTERVAL_S for at, value in zip(times, values, strict=True)
    )
    return wrong + len(values) - len(set(values.tolist()))


@pytest.mark.timeout(900)
def test_kill_9_loses_nothing_acknowledged_and_invents_nothing(
    ledger: Any, rng: random.Random, exporter: ExporterProcess, tmp_path: Path
) -> None:
    """After each of 100 kills at random points: every acknowledged sample is there once, the outage is one gap, nothing is made up."""
    out = tmp_path / "recording"
    collector = Collector.start(plan(out, exporter.port))
    snapshots: list[tuple[int, dict[tuple[int, int], float]]] = []
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.2, 1.5))
        acknowledged = max(numbers_in(out / "samples"), default=0)
        assert collector.process is not None
        collector.process.signal(signal.SIGKILL)
        until(lambda: not collector.status().alive)
        samples = read_samples(out)
        assert samples.last_chunk >= acknowledged
        snapshots.append((acknowledged, rows(samples)))
        assert collector.keep()
    last = collector.status().chunk
    until(lambda: collector.status().chunk > last)
    collector.stop()

    samples, series, served = read_samples(out), read_series(out), exporter.served()
    final = rows(samples)
    made_up = invented(out, samples, served)
    outages = {max((moment for _, moment in found), default=0) for _, found in snapshots} - {0}
    found = gaps(series, samples, interval_s=INTERVAL_S)
    kept = [all(final.get(key, None) == value for key, value in snapshot.items()) for _, snapshot in snapshots]
    starts = [round(gap.start_s * 1000) for gap in found]
    right = outages <= set(starts) and all(gap.target is None for gap in found)
    others = [gap for gap in found if round(gap.start_s * 1000) not in outages]
    for whole in kept:
        ledger.count(
            row=11,
            fault="collector killed -9 at a random point",
            survived=whole and made_up == 0 and right,
            figure=f"{len(outages)} outages, {len(found)} gaps, {made_up} samples invented, {sum(kept)}/{len(kept)} kills lost nothing",
        )
    assert all(kept)
    assert made_up == 0
    assert right, (sorted(outages - set(starts)), found)
    assert len(outages) > KILLS / 4
    assert all(_seen_by_the_target(gap, served) for gap in others), others
    assert [event["kind"] for event in _events(out)].count("started") > KILLS / 4


def _seen_by_the_target(gap: Gap, served: list[tuple[float, int]]) -> bool:
    """Whether the target too was not asked for longer than an interval within *gap*."""
    times = [gap.start_s, *(at for at, _ in served if gap.start_s + INTERVAL_S / 2 < at < gap.end_s - INTERVAL_S / 2), gap.end_s]
    return max(b - a for a, b in itertools.pairwise(times)) > 1.2 * INTERVAL_S


def _events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "collector-events.jsonl").read_text().splitlines()]


@contextmanager
def limited(wanted: ScrapePlan, size: int) -> Iterator[subprocess.Popen[str]]:
    """A collector that can write no file longer than *size* bytes: to it the disk is full."""
    config = wanted.out / "collector-config.json"
    child = subprocess.Popen(
        [sys.executable, "-m", "tasks.telemetry.collect", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def collect_one_more(wanted: ScrapePlan, newest: int) -> None:
    """Collect until there is a chunk after *newest*."""
    collector = Collector.start(wanted)
    until(lambda: collector.status().chunk > newest)
    collector.stop()


@pytest.mark.timeout(300)
def test_a_full_disk_costs_no_old_data(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """Wherever the space ends: exit code 6 with a sentence, no partial file, old samples readable, and it goes on once there is space."""
    page = "".join(f'm{{number="{number}"}} {rng.random()}\n' for number in range(40))

    def answer(number: int, send: Callable[[bytes], None]) -> bool:
        send(ok(page + f'extra{{number="{number}"}} 1\n'))
        return True

    out = tmp_path / "recording"
    with serving(answer) as exporter:
        collector = Collector.start(plan(out, exporter.port))
        until(lambda: collector.status().chunk >= 3)
        collector.stop()
        biggest = max(path.stat().st_size for path in out.rglob("*") if path.is_file())
        for size in (1, 200, *(rng.randrange(1, biggest) for _ in range(13))):
            before = rows(read_samples(out))
            with limited(collector.plan, size) as child:
                _, told = child.communicate(timeout=60)
            after = rows(read_samples(out))
            partial = [path for path in out.rglob("*.tmp") if path.is_file()]
            lost = sum(after.get(key) != value for key, value in before.items())
            survived = child.returncode == 6 and lost == 0 and not partial and "space" in told and "Traceback" not in told
            newest = read_samples(out).last_chunk
            collect_one_more(collector.plan, newest)
            survived &= len(read_samples(out).series) > len(after)
            ledger.count(
                row=12,
                fault="disk full while writing a chunk",
                survived=survived,
                figure=f"{lost} samples lost, exit code {child.returncode}",
            )
            assert survived, (size, child.returncode, told, partial)


def test_a_restarted_target_is_a_counted_reset(ledger: Any, exporter: ExporterProcess, tmp_path: Path) -> None:
    """Each restart of the target makes its counter fall once; as many resets are found, and the rest of its life is up."""
    out = tmp_path / "recording"
    collector = Collector.start(plan(out, exporter.port))
    for _ in range(5):
        seen = len(exporter.served())
        until(lambda seen=seen: len(exporter.served()) >= seen + 6)
        exporter.kill()
        until(lambda: "t0" in collector.status().down)
        exporter.start()
        until(lambda: "t0" not in collector.status().down)
    collector.stop()

    series, samples = read_series(out), read_samples(out)
    counted = resets(series, samples)
    found = {series[number].name: int(counted[number]) for number in np.flatnonzero(counted)}
    ledger.count(row=6, fault="target restarted, its counters reset", survived=found == {"ticks_total": 5}, figure=f"{found} of 5 restarts")
    assert found == {"ticks_total": 5}


@pytest.mark.timeout(120)
def test_a_stopped_collector_leaves_a_gap_and_makes_nothing_up(
    ledger: Any, rng: random.Random, exporter: ExporterProcess, tmp_path: Path
) -> None:
    """SIGSTOP for tens of intervals: one gap as long as the stop, no target called down for it, no missed scrape made up for."""
    out = tmp_path / "recording"
    collector = Collector.start(plan(out, exporter.port))
    stops: list[tuple[float, float]] = []
    for _ in range(4):
        chunk = collector.status().chunk
        until(lambda chunk=chunk: collector.status().chunk >= chunk + 3)
        time.sleep(rng.uniform(0, INTERVAL_S))
        assert collector.process is not None
        collector.process.signal(signal.SIGSTOP)
        began_s = time.time()
        time.sleep(rng.uniform(10, 20) * INTERVAL_S)
        collector.process.signal(signal.SIGCONT)
        stops.append((began_s, time.time()))
    chunk = collector.status().chunk
    until(lambda: collector.status().chunk >= chunk + 6)
    collector.stop()

    series, samples, served = read_series(out), read_samples(out), exporter.served()
    found = gaps(series, samples, interval_s=INTERVAL_S)
    _, up = values_of(out, samples, "up")
    errors: list[float] = []
    for began_s, ended_s in stops:
        (gap,) = (one for one in found if one.start_s - INTERVAL_S < began_s < one.end_s and one.end_s > ended_s - INTERVAL_S)
        stacked = sum(ended_s < at < ended_s + 5 * INTERVAL_S for at, _ in served)
        errors.append(max(abs(gap.start_s - began_s), abs(gap.end_s - ended_s)))
        survived = errors[-1] < 3 * INTERVAL_S and stacked <= 7 and bool(up.all()) and invented(out, samples, served) == 0
        ledger.count(
            row=31,
            fault="collector stopped for tens of intervals",
            survived=survived,
            figure=f"edges within {max(errors) / INTERVAL_S:.1f} intervals",
        )
        assert survived, (gap, began_s, ended_s, stacked)
