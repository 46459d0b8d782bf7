"""
A day, evaluated: all detectors on 24 hours of 200 series, a sample every five seconds.

``python -m tests.bench.day`` does it once, in a process whose peak of memory is its own, and prints what it took as JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.base.trials import Outcome, Trial, Windows
from tasks.detectors.registry import NAMES, make
from tasks.evaluation.config import EvaluationConfig, grace_s
from tasks.evaluation.table import ScoredDetector, evaluate
from tasks.evaluation.thresholds import Calibration
from tasks.evaluation.truth import Truth
from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.features.matrix import Matrix
from tasks.features.prepare import learn, prepare
from tasks.telemetry.series import Series
from tests.bench.pivot import Raw
from tests.bench.rows import Row, made
from tests.bench.stopwatch import ROUNDS, machine, peak_rss_bytes

DAY_S, STEP_S = 86_400.0, 5.0
ROWS = int(DAY_S / STEP_S)
SERVICES = 25
GAUGES = {
    "container_memory_working_set_bytes": 6e7,
    "container_memory_rss": 5e7,
    "container_threads": 8.0,
    "container_file_descriptors": 30.0,
}
COUNTERS = {
    "container_cpu_usage_seconds_total": 0.05,
    "container_fs_reads_bytes_total": 2e5,
    "container_fs_writes_bytes_total": 4e5,
    "kube_pod_container_status_restarts_total": 0.0,
}
FAULTS, FAULT_S = 24, 60.0
FEATURES = FeaturesConfig(profile="long", grid_s=STEP_S, rate_window_s=20.0)
SEED = 7


@dataclass(frozen=True, slots=True)
class Day:
    """A recording in memory, and the faults that are in it."""

    series: tuple[Series, ...]
    raw: Raw
    start_s: float
    trials: tuple[Trial, ...]

    def matrix(self) -> Matrix:
        """Its feature matrix."""
        return build_from(self.series, self.raw, FEATURES, start_s=self.start_s, end_s=self.start_s + DAY_S - STEP_S)


def recorded(start_s: float, faults: int, seed: int) -> Day:
    """Twenty-five services of eight series each, busier by day than by night; in a fault one of them burns processor time."""
    rng = np.random.default_rng(seed)
    times = start_s + STEP_S * np.arange(ROWS)
    load = 1.0 + 0.3 * np.sin(2 * np.pi * np.arange(ROWS) / ROWS)
    trials = tuple(_trial(number, start_s, faults) for number in range(faults))
    series: list[Series] = []
    values: list[NDArray[np.float64]] = []
    for service in (f"service-{number:02d}" for number in range(SERVICES)):
        for name, level in GAUGES.items():
            values.append(level * (1 + 0.02 * load + 0.01 * rng.normal(size=ROWS)))
            series.append(Series(len(series), name, service, "container", {}))
        for name, pace in COUNTERS.items():
            rate = pace * load * (1 + 0.1 * rng.normal(size=ROWS))
            if name == "container_cpu_usage_seconds_total":
                for trial in trials:
                    if trial.target == service:
                        rate[(times >= trial.windows.requested) & (times < trial.windows.requested + FAULT_S)] += 1.0
            values.append(np.cumsum(np.maximum(rate, 0.0)) * STEP_S)
            series.append(Series(len(series), name, service, "container", {}))
    count = len(series)
    raw = Raw(np.repeat(np.arange(count, dtype=np.int32), ROWS), np.tile((times * 1000).astype(np.int64), count), np.concatenate(values))
    return Day(tuple(series), raw, start_s, trials)


def _trial(number: int, start_s: float, faults: int) -> Trial:
    at_s = start_s + DAY_S * (number + 0.5) / faults
    windows = Windows(at_s, at_s, at_s + STEP_S, at_s + FAULT_S, at_s + FAULT_S, at_s + FAULT_S + STEP_S)
    return Trial(f"t{number}", "cpu_hog", f"service-{number:02d}", 1.0, False, FAULT_S, windows, Outcome.IMPACT)


def judged(training: Day, calibration: Day, faults: Day) -> dict[str, Any]:
    """From samples to the table: matrices, all detectors trained and scoring, thresholds, evaluation; seconds of each part."""
    spent: dict[str, float] = {}
    begun_s = time.monotonic()

    def lap(name: str) -> None:
        spent[name] = time.monotonic() - begun_s - sum(spent.values())

    matrices = [day.matrix() for day in (training, calibration, faults)]
    filling = learn(matrices[:1])
    normal, quiet, broken = (prepare(matrix, filling, FEATURES) for matrix in matrices)
    lap("features")
    scored = []
    for name in NAMES:
        detector = make(name, profile=FEATURES.profile, grid_s=STEP_S)
        fitted = detector.fit(normal.rows[normal.scored], resolution=filling.resolution, seed=SEED)
        scored.append(ScoredDetector(name, detector.family, fitted.score(quiet.rows), fitted.score(broken.rows)))
        lap(name)
    settings = EvaluationConfig(profile="long", false_alarms_per_day=24.0)
    grace = grace_s(FEATURES.rate_window_s, STEP_S)
    truth = Truth.of(broken.time_s, faults.trials, grace_s=grace)
    budget = Calibration(24.0, FEATURES.rate_window_s, settings.persistence_s(STEP_S), STEP_S)
    found = evaluate(scored, truth, settings, budget, seed=SEED)
    lap("evaluation")
    detected = next(row.events_detected for row in found.results if row.name == "robust_z")
    return {"wall_s": time.monotonic() - begun_s, "columns": len(filling.names), "detected": detected, "spent": spent}


def main() -> None:
    """Once; JSON on standard output. The samples are made before the clock starts, and count in the memory."""
    days = [recorded(1_790_000_000.0 + 2 * DAY_S * place, faults, place) for place, faults in enumerate((0, 0, FAULTS))]
    print(json.dumps({**judged(*days), "rss_bytes": peak_rss_bytes()}))


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Wall time and peak of resident memory of processes of their own; robust z must find every fault."""
    said = [
        json.loads(subprocess.run([sys.executable, "-m", "tests.bench.day"], capture_output=True, check=True).stdout) for _ in range(ROUNDS)
    ]
    sound = all(one["detected"] == FAULTS and one["columns"] == SERVICES * (len(GAUGES) + len(COUNTERS)) for one in said)
    parts = {name: statistics.median(one["spent"][name] for one in said) for name in said[0]["spent"]}
    print("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()), file=sys.stderr)
    if not sound:
        raise ArithmeticError(
            f"robust z found {[one['detected'] for one in said]} of {FAULTS} faults in {[one['columns'] for one in said]} columns"
        )
    if "evaluate.day.wall" in only:
        yield made("evaluate.day.wall", statistics.median(one["wall_s"] for one in said), "s", machine=machine())
    if "evaluate.day.rss" in only:
        yield made("evaluate.day.rss", statistics.median(one["rss_bytes"] for one in said), "bytes", machine=machine())


if __name__ == "__main__":
    main()
