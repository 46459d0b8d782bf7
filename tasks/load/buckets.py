"""
Buckets of equal ratio for durations, in plain Python: what is counted inside a load generator, wherever that runs.

A duration x goes to bucket ``ceil(log(x) / log(GAMMA))`` and is read back as ``2 GAMMA^i / (GAMMA + 1)``, with
``GAMMA = (1 + a) / (1 - a)``: the relative error is at most ``a`` (DDSketch: Masson, Rim and Lee, VLDB 2019).
"""

from __future__ import annotations

import math

RELATIVE_ERROR = 0.02
"""A quantile is at most this far, relatively, from the exact one."""
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LOG_GAMMA = math.log(GAMMA)
SHORTEST_S = 1e-6
"""Shorter durations (and negative ones) count as this."""
LONGEST_S = 1e6
"""Longer durations count as this."""


def bucket_of(duration_s: float) -> int:
    """The bucket (fits int16) of one duration in seconds; NaN counts as the longest."""
    bounded = SHORTEST_S if duration_s < SHORTEST_S else duration_s if duration_s < LONGEST_S else LONGEST_S
    return math.ceil(math.log(bounded) / LOG_GAMMA)
