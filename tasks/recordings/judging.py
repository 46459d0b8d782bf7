"""What each trial did, judged on the whole recording once it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.base.intervals import Interval
from tasks.base.trials import Trial
from tasks.faults.witness import judge
from tasks.recordings.evidence import Scene


def grace_of(rate_window_s: float, step_s: float) -> float:
    """Seconds after a revert in which a fault may still show: the longest rate window in use + 2 grid steps."""
    return rate_window_s + 2 * step_s


def judged(scene: Scene, trials: Sequence[Trial], grace_s: float, end_s: float) -> tuple[Trial, ...]:
    """
    Each trial with its outcome, first effect, return to normal, witness and a note.

    References leave out the spans of earlier real faults; a trial ends where the next one begins, the last one at *end_s*.
    """
    found: list[Trial] = []
    for place, trial in enumerate(trials):
        until_s = trials[place + 1].windows.requested if place + 1 < len(trials) else end_s
        found.append(judged_one(scene, trial, spans_of(found, grace_s), grace_s, until_s))
    return tuple(found)


def judged_one(scene: Scene, trial: Trial, excluded: Sequence[Interval], grace_s: float, until_s: float = float("inf")) -> Trial:
    """*trial* as the scene shows it; what a benign change did is never called a fault's outcome."""
    verdict = judge(scene.evidence(trial), trial.windows, excluded=excluded, grace_s=grace_s, placebo=trial.placebo, until_s=until_s)
    windows = replace(trial.windows, first_effect=verdict.first_effect, back_to_normal=verdict.back_to_normal)
    note = "; ".join(text for text in (trial.note, verdict.note) if text)
    outcome = verdict.outcome.of_benign if trial.benign and verdict.outcome is not None else verdict.outcome
    return replace(trial, windows=windows, outcome=outcome, witness=verdict.witness, note=note)


def spans_of(trials: Sequence[Trial], grace_s: float) -> list[Interval]:
    """[requested, back to normal + grace] of each fault and benign change; where no return was seen, its revert stands for it."""
    spans = []
    for trial in trials:
        windows = trial.windows
        end = windows.back_to_normal or windows.reverted or windows.requested + trial.duration_s
        if not trial.placebo:
            spans.append(Interval(windows.requested, max(windows.requested, end) + grace_s))
    return spans
