"""The data certificate: what was expected of a recording, what is there, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.arrays import median
from tasks.telemetry.gaps import Gap, gaps, missing_looks, tells_of_scrapes
from tasks.telemetry.samples import Samples
from tasks.telemetry.series import Series

DURATION = "scrape_duration_seconds"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Counts over one recording, each from the data alone."""

    series: int
    samples: int
    targets: int
    scrapes_expected: int
    """Those that were found, and those that are missing by the gaps."""
    scrapes_found: int
    """``up`` samples in the span, failed scrapes included."""
    scrapes_failed: int
    """``up`` samples of value 0."""
    samples_expected: int
    """What the working scrapes said they exposed, together with their own three samples."""
    samples_found: int
    """Samples of scraped targets; fewer than expected where a reply named a series twice or repeated an old time."""
    counter_resets: int
    duplicates: int
    out_of_order: int
    non_finite: int
    """NaN and infinite values."""
    gaps: tuple[Gap, ...]
    scrape_duration_s: tuple[float, float] | None = None
    """Median and longest scrape; None where none was told."""
    stale: int = 0
    """Marks with which the server ended a series; they are no samples."""
    own_stamps: int = 0
    """Series that bring their own time stamps, so that nobody can say how many samples they should have."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Native histograms that were not kept, by metric name."""
    fingerprint: str | None = None
    """The same for the same samples, whatever their order; None where it was not made."""
    server: Mapping[str, Any] | None = None
    """What the server said of itself, how it was read, what it warned of; None where there is none."""
    cadence: Mapping[str, Any] | None = None
    """How often kubelets really looked at the containers, and what follows from it; None where they were not asked."""
    rounds: Mapping[str, Any] | None = None
    """How long it took to ask everybody by way of the API server once; None where nobody was asked by it."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the gaps with times in ISO 8601, UTC."""
        return {**asdict(self), "gaps": [gap.to_json() for gap in self.gaps]}


def certify(
    series: Sequence[Series], samples: Samples, *, interval_s: float | None, span: tuple[float, float] | None = None
) -> Certificate:
    """
    Count what is there.

    Args:
        series: Series of the recording.
        samples: All its samples.
        interval_s: Planned time between two scrapes of a target; None: each target's usual one.
        span: First and last wall time at which there should be samples; None: from the first to the last sample.
    """
    ups, scraped, lasted = (_told(series, name) for name in ("up", "scrape_samples_scraped", DURATION))
    up = rows_of(samples, ups)
    if span is None and up.any():
        span = (float(samples.time_ms[up].min()) / 1000, float(samples.time_ms[up].max()) / 1000)
    inside = up & _within(samples, span) if span is not None else up
    holes = gaps(series, samples, interval_s=interval_s, span=span)
    missing = sum(gap.missing * (len(ups) if gap.target is None else 1) for gap in holes)
    if interval_s is None and span is not None:
        missing = missing_looks(series, samples, span=span)
    told = samples.value[rows_of(samples, scraped)]
    return Certificate(
        series=len(series),
        samples=len(samples.series),
        targets=len(ups),
        scrapes_expected=int(np.count_nonzero(inside)) + missing,
        scrapes_found=int(np.count_nonzero(inside)),
        scrapes_failed=int(np.count_nonzero(samples.value[inside] == 0)),
        samples_expected=int(told.sum()) + int(np.count_nonzero(rows_of(samples, [*ups, *scraped, *lasted]))),
        samples_found=len(samples.series),
        counter_resets=int(resets(series, samples).sum()),
        duplicates=samples.duplicates,
        out_of_order=samples.out_of_order,
        non_finite=int(np.count_nonzero(~np.isfinite(samples.value))),
        gaps=holes,
        scrape_duration_s=durations(samples.value[rows_of(samples, lasted)]),
    )


def _told(series: Sequence[Series], name: str) -> list[int]:
    """Numbers of the series called *name* that scrapers told."""
    return [one.id for one in series if one.name == name and tells_of_scrapes(one)]


def durations(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Median and longest of the durations *values*."""
    return (round(median(values), 6), round(float(np.max(values)), 6)) if len(values) else None


def counters(series: Sequence[Series]) -> NDArray[np.bool_]:
    """
    Which series are counters, by the naming rules of Prometheus, shape ``(n_series,)``.

    ``_total`` and ``_bucket`` always; ``_count`` and ``_sum`` where a service has both, as histograms and summaries do.
    """
    names = {(one.service, one.name) for one in series}

    def counts(one: Series) -> bool:
        base, _, suffix = one.name.rpartition("_")
        if suffix in ("count", "sum"):
            return (one.service, f"{base}_count") in names and (one.service, f"{base}_sum") in names
        return bool(base) and suffix in ("total", "bucket")

    return np.fromiter((counts(one) for one in series), dtype=bool, count=len(series))


def resets(series: Sequence[Series], samples: Samples) -> NDArray[np.int64]:
    """How often each counter fell, shape ``(n_series,)``; 0 for what is no counter. A step from or to NaN is no fall."""
    same = samples.series[1:] == samples.series[:-1]
    fell = samples.series[1:][same & (samples.value[1:] < samples.value[:-1])]
    return np.where(counters(series), np.bincount(fell, minlength=len(series)), 0)


def rows_of(samples: Samples, numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Which samples are of the series *numbers*, shape ``(n,)``."""
    return np.isin(samples.series, np.array(numbers, dtype=np.int32))


def _within(samples: Samples, span: tuple[float, float]) -> NDArray[np.bool_]:
    return (samples.time_ms >= span[0] * 1000) & (samples.time_ms <= span[1] * 1000)
