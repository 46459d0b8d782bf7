"""The load of a recording as the page draws it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.load.history import read_history
from tasks.reporting.model import LoadHistory


def load_view(folder: Path) -> LoadHistory:
    """The load kept in *folder* by second; quantiles over five seconds, all endpoints together by the slowest."""
    history = read_history(folder)
    return LoadHistory(
        second=history.second.astype(np.float64),
        users_planned=history.users_planned.astype(np.float64),
        users_present=history.users_present.astype(np.float64),
        journeys_planned=history.journeys_planned.astype(np.float64),
        journeys_completed=history.journeys_completed.astype(np.float64),
        requests_per_s=history.requests.sum(axis=1).astype(np.float64),
        error_ratio=history.error_ratio(),
        p95_from_send_s=_slowest(history.endpoint_quantile(0.95, latency="own", window_s=5)),
        p95_from_intended_s=_slowest(history.endpoint_quantile(0.95, latency="intended", window_s=5)),
    )


def _slowest(values: np.ndarray) -> np.ndarray:
    return np.fmax.reduce(values, axis=1, initial=np.nan) if values.size else np.full(values.shape[0], np.nan)
