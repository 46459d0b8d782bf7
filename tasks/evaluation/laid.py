"""Several recordings as one, end to end: what a table is made over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Laid:
    """Recordings laid end to end: *rows* of each that are used, the *time_s* of all with the rows between, the last moment of each."""

    rows: dict[str, int]
    time_s: NDArray[np.float64]
    last_s: dict[str, float]

    @classmethod
    def of(cls, times_s: Mapping[str, NDArray[np.float64]], pad: int, step_s: float) -> Laid:
        """
        From the rows of each recording, in order, with *pad* rows behind each, *step_s* apart or closer where there is no room.

        Recordings that follow each other at once, as imported days do, share the row at which they meet: it is the later one's.
        """
        begins = [*(float(times[0]) for times in list(times_s.values())[1:]), math.inf]
        rows, parts, last_s = {}, [np.empty(0)], {}
        for (name, times), next_s in zip(times_s.items(), begins, strict=True):
            kept = times[: np.searchsorted(times, next_s)]
            rows[name], last_s[name] = len(kept), float(kept[-1])
            closer_s = min(step_s, (next_s - last_s[name]) / (pad + 1))
            parts.append(np.concatenate([kept, last_s[name] + closer_s * np.arange(1, pad + 1)]))
        return cls(rows, np.concatenate(parts), last_s)
