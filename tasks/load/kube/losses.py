"""Which workers are lost: a decision by what is known of their pods and of what they last said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.load.kube.pods import PodState

SILENCE_S = 6.0
"""A worker logs every second; one that says nothing for this long is looked at."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A worker's newest process, and its pod."""

    pod: PodState | None
    """As it is now; None: it is gone."""
    place: int
    """Which of the pod's processes it is, from 0."""
    silent_s: float
    """Seconds since it last said something new."""
    ended: bool
    """Whether it said that it has ended in order."""


def verdict(seen: Sighting) -> Literal["well", "silent", "dead"]:
    """What is to be thought of a worker whose load is not over; ``silent`` may also be the way to it."""
    if seen.pod is None or seen.pod.over or seen.pod.restarts > seen.place or seen.ended:
        return "dead"
    return "silent" if seen.silent_s > SILENCE_S else "well"
