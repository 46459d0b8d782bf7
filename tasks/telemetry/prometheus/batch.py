"""What came from a server: samples of raw series, in columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Labels = tuple[tuple[str, str], ...]
"""All labels of a raw series in ascending order of their names, ``__name__`` among them."""

STALE_BITS = 0x7FF0000000000002
"""Bit pattern of the NaN with which Prometheus ends a series (``value.StaleNaN`` in its source); no other NaN is one."""

NORMAL_NAN = np.uint64(0x7FF8000000000001).view(np.float64)
"""What a Prometheus makes of every NaN that it scrapes (``value.NormalNaN`` in its source)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Samples of some raw series, ``k`` series and ``n`` samples in all.

    The samples of series ``i`` are the next ``counts[i]`` entries; their times ascend strictly. A series may go on in the next
    batch, never in a later one than that without being in between. NaN and infinities are values; stale markers are not in it.
    """

    labels: tuple[Labels, ...]
    """Length ``k``."""
    counts: NDArray[np.int64]
    """``(k,)``; may be 0."""
    time_ms: NDArray[np.int64]
    """``(n,)``, milliseconds since 1970, UTC."""
    value: NDArray[np.float64]
    """``(n,)``, bit-identical to what the server holds."""
    stale: int = 0
    """Stale markers that were left out."""
    stale_series: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """``(stale,)``, the place of each one's series in *labels*; empty where that is not known."""
    stale_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """``(stale,)``, their times; empty where they are not known."""
    duplicates: int = 0
    """Samples left out since their series had one at that time already; the first one counts."""
    histograms: Mapping[str, int] = field(default_factory=dict)
    """Native-histogram chunks (or samples, where the server tells only those) that were left out, by metric name."""
    histogram_series: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """The place of each one's series in *labels*; empty where that is not known."""
    histogram_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """The first time of each; empty where they are not known."""
