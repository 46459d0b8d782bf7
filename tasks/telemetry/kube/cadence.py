"""
How often the kubelets really looked at the containers, and what that means for rates and onsets.

A kubelet refreshes a container's numbers by its own clock, every 10 to 19 s by default, however often it is asked. A rate window
shorter than twice that holds one sample now and then, and no rate. An effect shows in the first sample after it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

JOBS = ("cadvisor", "resource")
CPU = "container_cpu_usage_seconds_total"
"""A sample of it is there whenever a container was looked at."""
PER_WINDOW = 4.0
"""Usual looks in a rate window: as many scrapes as Prometheus' own advice asks for."""
SURE = 2.2
"""Long gaps in a rate window: two samples must fall into each."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Times in seconds between the stamps of containers' samples, and what follows."""

    containers: int
    """How many were looked at more than once."""
    median_gap_s: float
    p95_gap_s: float
    longest_gap_s: float
    recommended_rate_window_s: float
    """The shortest window, in whole seconds, in which there is a rate (almost) always."""
    onset_uncertainty_s: float
    """An effect may have begun so much earlier than the first sample that shows it."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def cadence(stamps_ms: Sequence[NDArray[np.int64]]) -> Cadence | None:
    """
    What follows from the stamps of each container's samples, ascending; None where none was looked at twice.

    Args:
        stamps_ms: One array a container; a container that was away and came back has a long gap, which counts like others.
    """
    seen = [stamps for stamps in stamps_ms if len(stamps) > 1]
    if not seen:
        return None
    gaps_s = np.concatenate([np.diff(stamps) for stamps in seen]) / 1000
    median_s, p95_s = float(np.median(gaps_s)), float(np.percentile(gaps_s, 95))
    return Cadence(
        containers=len(seen),
        median_gap_s=round(median_s, 3),
        p95_gap_s=round(p95_s, 3),
        longest_gap_s=round(float(gaps_s.max()), 3),
        recommended_rate_window_s=window_s(median_s, p95_s),
        onset_uncertainty_s=round(p95_s, 3),
    )


def window_s(median_gap_s: float, long_gap_s: float) -> float:
    """The rate window for samples that come every *median_gap_s*, and seldom later than *long_gap_s*; rounded up as people write it."""
    needed_s = max(PER_WINDOW * median_gap_s, SURE * long_gap_s)
    step_s = 5.0 if needed_s > 10 else 1.0
    return math.ceil(round(needed_s / step_s, 6)) * step_s


def cadence_of(series: Sequence[Series], samples: Samples) -> Mapping[str, Any] | None:
    """What the certificate of a recording says, by the kubelets' pages; None where it has nothing of them."""
    found: dict[str, Any] = {}
    for job in JOBS:
        numbers = [one.id for one in series if one.name == CPU and one.role == "container" and one.labels.get("job") == job]
        told = cadence([_stamps(samples, number) for number in numbers])
        if told is not None:
            found[job] = told.to_json()
    return found or None


def _stamps(samples: Samples, number: int) -> NDArray[np.int64]:
    first, last = np.searchsorted(samples.series, [number, number + 1])
    return samples.time_ms[first:last]
