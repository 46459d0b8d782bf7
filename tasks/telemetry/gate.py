"""The warm-up gate: metrics that the document names must have arrived before a recording starts to count."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tasks.base.errors import PreflightError
from tasks.telemetry.series import Series


def missing_metrics(series: Sequence[Series], required: Sequence[str]) -> tuple[str, ...]:
    """Those of *required* that no series is named after, in their order."""
    there = {one.name for one in series}
    return tuple(name for name in required if name not in there)


def require_metrics(series: Sequence[Series], required: Sequence[str]) -> None:
    """
    Refuse a recording that would lack a metric.

    Raises:
        PreflightError: Something is missing; each name is told with the nearest one that is there.
    """
    there = sorted({one.name for one in series})
    missing = missing_metrics(series, required)
    if not missing:
        return
    told: list[str] = []
    for name in missing:
        near = difflib.get_close_matches(name, there, 1, 0.6)
        told.append(f"{name} (did you mean {near[0]}?)" if near else name)
    raise PreflightError(
        f"no target exposes {', '.join(told)}; {len(there)} other metrics have arrived",
        next_step="correct telemetry.required_metrics, or let the app expose it",
    )
