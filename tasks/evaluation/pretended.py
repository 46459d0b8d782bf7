"""The A/A check: windows in which nothing happened, judged as if something had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.config import EvaluationConfig
from tasks.evaluation.result import DetectorResult
from tasks.evaluation.table import RANDOM, ScoredDetector, evaluate
from tasks.evaluation.thresholds import Calibration
from tasks.evaluation.truth import Truth

KIND = "pretended"
WINDOWS = 20


def pretended_trials(
    time_s: NDArray[np.float64], *, count: int, duration_s: float, apart_s: float, rng: np.random.Generator
) -> tuple[Trial, ...]:
    """
    *count* windows of *duration_s* at random in a fault-free recording, at least *apart_s* apart and from both ends.

    Raises:
        ValueError: They do not fit.
    """
    free = float(time_s[-1] - time_s[0]) - count * duration_s - (count + 1) * apart_s
    if free < 0:
        raise ValueError(f"{count} windows of {duration_s:g} s, {apart_s:g} s apart, do not fit into {time_s[-1] - time_s[0]:g} s")
    offsets = np.sort(rng.uniform(0, free, count))
    starts = time_s[0] + offsets + apart_s + np.arange(count) * (duration_s + apart_s)
    return tuple(_trial(f"pretended-{number + 1}", float(start), duration_s) for number, start in enumerate(starts))


def like_chance(result: DetectorResult, random: DetectorResult) -> bool | None:
    """
    Whether *result*, on pretended events, lies inside the exact 95 % interval of the random row's recall.

    A detector outside it knows something that is not in the data, or alarms at another rate than its budget. None: undefined.
    """
    if result.recall is None or random.recall_low is None or random.recall_high is None:
        return None
    return random.recall_low <= result.recall <= random.recall_high


def aa_line(
    name: str,
    detectors: Sequence[ScoredDetector],
    quiet: Truth,
    settings: EvaluationConfig,
    calibration: Calibration,
    *,
    seed: int,
) -> str | None:
    """
    The A/A check on a fault-free recording, as a sentence; None where it is too short for any window.

    Args:
        name: Of the recording.
        detectors: The row ``random`` must be among them.
        quiet: The recording, without a trial.
        settings: As for the real table.
        calibration: As for the real table.
        seed: Of the run.
    """
    apart_s, duration_s = 2 * quiet.grace_s, settings.buffer_s
    count = min(WINDOWS, int((float(np.ptp(quiet.time_s)) - apart_s) / (2 * apart_s + duration_s)))
    if count < 1:
        return None
    rng = np.random.default_rng([seed, count])
    windows = pretended_trials(quiet.time_s, count=count, duration_s=duration_s, apart_s=apart_s, rng=rng)
    results = evaluate(detectors, replace(quiet, trials=windows), settings, calibration, seed=seed).results
    chance = next(row for row in results if row.name == RANDOM)
    outside = [row.name for row in results if row.family != "floor" and like_chance(row, chance) is False]
    said = f"outside what chance finds: {', '.join(outside)}" if outside else "every detector finds what chance finds"
    return f"A/A check, {count} windows of {name} in which nothing was done: {said}"


def _trial(name: str, start: float, duration_s: float) -> Trial:
    end = start + duration_s
    windows = Windows(start, acknowledged=start, first_effect=start, revert_requested=end, reverted=end, back_to_normal=end)
    return Trial(name, KIND, "", 0.0, False, duration_s, windows, Outcome.IMPACT, note="nothing was done")
