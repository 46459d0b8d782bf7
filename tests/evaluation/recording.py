"""A made recording of a few faults, for the tests of evaluation."""

from __future__ import annotations

import numpy as np

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.truth import Truth

GRACE_S = 7.0
START = 1_000_000.0


def trial(
    name: str,
    at: float,
    *,
    kind: str = "cpu_hog",
    intensity: float = 0.5,
    outcome: Outcome | None = Outcome.IMPACT,
    back: float | None = 12.0,
    placebo: bool = False,
) -> Trial:
    """Requested at START + *at*, acknowledged 1 s later, reverted 8 s after that, back to normal *back* s after the request."""
    requested = START + at
    windows = Windows(requested, requested + 1, requested + 2, requested + 9, requested + 9, None if back is None else requested + back)
    return Trial(name, kind, "orders", intensity, placebo, 8.0, windows, None if placebo else outcome)


def truth(*trials: Trial, rows: int = 300, degraded: slice | None = None) -> Truth:
    """*rows* seconds from START on; *degraded* rows."""
    bad = np.zeros(rows, dtype=bool)
    if degraded is not None:
        bad[degraded] = True
    return Truth.of(START + np.arange(rows), trials, grace_s=GRACE_S, degraded=bad)


def scores(rows: int = 300, *, high: tuple[tuple[int, int], ...] = ()) -> np.ndarray:
    """Quiet scores below 1, with 9 in each of the *high* spans (end not included)."""
    values = np.random.default_rng(0).random(rows)
    for start, end in high:
        values[start:end] = 9.0
    return values
