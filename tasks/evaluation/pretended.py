"""The A/A check: windows in which nothing happened, judged as if something had."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.base.trials import Outcome, Trial, Windows
from tasks.evaluation.result import DetectorResult

KIND = "pretended"


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


def _trial(name: str, start: float, duration_s: float) -> Trial:
    end = start + duration_s
    windows = Windows(start, acknowledged=start, first_effect=start, revert_requested=end, reverted=end, back_to_normal=end)
    return Trial(name, KIND, "", 0.0, False, duration_s, windows, Outcome.IMPACT, note="nothing was done")
