"""How long a recording takes, as far as a plan can know."""

from __future__ import annotations

from tasks.faults.config import FaultsConfig
from tasks.recordings.config import RecordingEntry

DEPLOY_S = 8.0
"""Start, readiness and smoke test of the shop, and its teardown, measured on two cores."""


def trials_of(faults: FaultsConfig) -> int:
    """Faults and placebos together."""
    return len(faults.trials) * faults.repeats + faults.placebos


def measured_s(entry: RecordingEntry, faults: FaultsConfig | None) -> float:
    """Length of the recording itself; for faults with the mean quiet time and no retry."""
    if entry.duration_s is not None:
        return entry.duration_s
    if faults is None:
        return 0.0
    durations = sum(trial.duration_s or faults.duration_s for trial in faults.trials) * faults.repeats
    placebos = faults.placebos * faults.duration_s
    return faults.before_s + durations + placebos + trials_of(faults) * sum(faults.quiet_s) / 2


def planned_s(entry: RecordingEntry, faults: FaultsConfig | None) -> float:
    """Wall time from start to teardown."""
    return DEPLOY_S + entry.warmup_s + measured_s(entry, faults)
