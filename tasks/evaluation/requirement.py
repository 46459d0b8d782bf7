"""Whether a run reached what its document demands."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evaluation.config import Requirement
from tasks.evaluation.result import DetectorResult


def shortfall(results: Sequence[DetectorResult], wanted: Requirement | None) -> str | None:
    """
    What is missing from *results*, as a sentence; None when *wanted* is met, or nothing is wanted.

    What is undefined (no impact event, no exposure) is not met.
    """
    if wanted is None:
        return None
    row = next((result for result in results if result.name == wanted.detector), None)
    if row is None:
        known = ", ".join(sorted(result.name for result in results))
        return f"evaluation.require: the run has no detector {wanted.detector!r}; it has {known or 'none'}"
    rate = row.false_alarms.per_day if row.false_alarms else None
    faults = []
    if row.recall is None or row.recall < wanted.recall:
        faults.append(f"recall is {_shown(row.recall)}, not {wanted.recall:g} or more")
    if rate is None or rate > wanted.false_alarms_per_day:
        faults.append(f"false alarms a day are {_shown(rate)}, not {wanted.false_alarms_per_day:g} or less")
    return f"evaluation.require is not met by {wanted.detector}: {'; '.join(faults)}" if faults else None


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"
