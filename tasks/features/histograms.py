"""Quantiles of cumulative histograms, as Prometheus takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def parse_edge(text: str) -> float:
    """
    Upper edge of a bucket from its label ``le``.

    Raises:
        ValueError: It is not a number.
    """
    return float(text.replace("Inf", "inf"))


def quantile(edges: NDArray[np.float64], cumulative: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """
    The *q*-quantile of each column of a cumulative histogram.

    The rule of Prometheus' ``histogram_quantile`` (promql/quantile.go): linear within the bucket, zero as the lower edge of
    the first one, the highest finite edge when the quantile lies beyond it.

    Args:
        edges: Upper edges ``(b,)``, ascending, the last one infinite; b >= 2.
        cumulative: Observations (or their rate) up to each edge, ``(b, n)``.
        q: Between 0 and 1.

    Returns:
        ``(n,)``; NaN where nothing was observed or a count is NaN.
    """
    counts = np.maximum.accumulate(cumulative, axis=0)
    total = counts[-1]
    rank = q * total
    with np.errstate(invalid="ignore"):
        bucket = np.argmax(counts >= rank, axis=0)
        observed = total > 0
    finite = np.minimum(bucket, edges.size - 2)
    columns = np.arange(total.size)
    lower = np.where(bucket > 0, edges[np.maximum(finite - 1, 0)], min(0.0, edges[0]))
    below = np.where(bucket > 0, counts[np.maximum(finite - 1, 0), columns], 0.0)
    inside = counts[finite, columns] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        value = lower + (edges[finite] - lower) * np.where(inside > 0, (rank - below) / inside, 1.0)
    value = np.where(bucket >= edges.size - 1, edges[-2], value)
    return np.where(observed, value, np.nan)
