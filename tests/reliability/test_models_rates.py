"""Row 6: what models are fed stays true when counters are reset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig

START = 1_700_000_000


@dataclass(frozen=True)
class One:
    """A counter's identity."""

    id: int
    name: str
    service: str
    role: str
    labels: dict


@dataclass(frozen=True)
class Samples:
    """Samples as arrays."""

    series: np.ndarray
    time_ms: np.ndarray
    value: np.ndarray


def test_rates_across_restarts_are_never_negative_nor_above_the_true_rate(ledger, rng):
    """Counters of known rate, restarted at random moments, scraped with jitter and holes: no rate is false by more than rounding."""
    worst = 0.0
    for _ in range(200):
        length, per_s = rng.randrange(40, 200), rng.choice([0.01, 0.3, 7.0, 1e6])
        restarts = sorted(rng.uniform(3, length) for _ in range(rng.randrange(1, 6)))
        times = np.array([t + rng.uniform(-0.15, 0.15) for t in range(length) if rng.random() > 0.05])
        first = -rng.uniform(5, 500)
        born = np.array([max([first, *(r for r in restarts if r <= t)]) for t in times])
        samples = Samples(np.zeros(times.size, dtype=np.int32), np.rint((START + times) * 1000).astype(np.int64), per_s * (times - born))
        series = [One(0, "process_cpu_seconds_total", "orders", "service", {})]

        matrix = build_from(series, samples, FeaturesConfig(), start_s=START, end_s=START + length)

        rates = matrix.values[matrix.valid]
        # Times are stored in whole milliseconds, so a rate over a second can be off by a part in a thousand.
        false = max(float(rates.max()) / per_s - 1, float(-rates.min()) / per_s)
        worst = max(worst, false)
        survived = false < 0.005
        ledger.count(row=6, fault="counter reset", survived=survived, figure=f"largest false rate {worst:.2%} above the true one")

        assert survived
        assert matrix.resets[0] <= len(restarts)
