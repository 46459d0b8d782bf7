"""VUS-PR by its definition, one window after the other over all rows: slow, but possible at 100,000 rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.evaluation.plain_vus import extended_runs, weights_of


def slow_vus_pr(labels: NDArray[np.bool_], scores: NDArray[np.float64], buffer: int, thresholds: int | None) -> float:
    """The mean area over windows 0 ... *buffer*; every row sorted, added up and cut at every threshold."""
    truth = labels.astype(int).tolist()
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    if thresholds is None:
        last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    else:
        picked = np.linspace(0, len(scores) - 1, thresholds).astype(int)
        last = np.searchsorted(-falling, -falling[picked], side="right") - 1
    cuts = falling[last]
    areas = []
    for window in range(buffer + 1):
        weights = np.array(weights_of(truth, window))
        outside = np.where(labels, 0.0, weights)
        hits, near = np.cumsum(weights[order])[last], np.cumsum(outside[order])[last]
        tops = np.array([scores[first : end + 1].max() for first, end in extended_runs(truth, window)])
        existing = (tops[None, :] >= cuts[:, None]).mean(axis=1)
        recall = np.minimum(hits / (labels.sum() + near / 2), 1.0) * existing
        areas.append(np.sum(np.diff(recall, prepend=0.0) * hits / (last + 1)))
    return float(np.mean(areas))
