"""Paired comparison of detectors on the same events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from tasks.evaluation.intervals import LEVEL, holm
from tasks.evaluation.result import DetectorResult


@dataclass(frozen=True, slots=True)
class Pair:
    """Two detectors on the events that both were judged on."""

    first: str
    second: str
    only_first: int
    """Events that only the first detected."""
    only_second: int
    """Events that only the second detected."""
    p: float | None
    """Two-sided, exact; None when they agree on every event."""
    p_holm: float | None
    """*p* adjusted for the number of pairs."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


def compare(results: Sequence[DetectorResult]) -> tuple[Pair, ...]:
    """
    Every pair of *results* by the exact sign test on the events that only one detected (McNemar, 1947), adjusted by Holm.

    Pairs that agree on every event have no p-value, yet count in the adjustment as p = 1.
    """
    judged = [result for result in results if result.detections]
    raw = [_pair(a, b) for a, b in combinations(judged, 2)]
    adjusted = holm([1.0 if pair.p is None else pair.p for pair in raw])
    return tuple(
        Pair(pair.first, pair.second, pair.only_first, pair.only_second, pair.p, None if pair.p is None else p)
        for pair, p in zip(raw, adjusted, strict=True)
    )


def differing(pairs: Sequence[Pair]) -> list[str]:
    """A sentence on the pairs whose adjusted p-value is at most .05, or that there is none; nothing without pairs."""
    if not pairs:
        return []
    method = f"exact sign test, Holm over {len(pairs)} pair{'' if len(pairs) == 1 else 's'}"
    found = [pair for pair in pairs if pair.p_holm is not None and pair.p_holm <= LEVEL]
    if not found:
        return [f"no two detectors differ at the 5 % level ({method})"]
    named = (sorted(((p.only_first, p.first), (p.only_second, p.second)), reverse=True) for p in found)
    return [f"these differ at the 5 % level ({method}): {', '.join(f'{better[1]} above {worse[1]}' for better, worse in named)}"]


def _pair(first: DetectorResult, second: DetectorResult) -> Pair:
    from scipy import stats

    other = {detection.trial: detection.detected for detection in second.detections}
    both = [(detection.detected, other[detection.trial]) for detection in first.detections if detection.trial in other]
    only_first = sum(a and not b for a, b in both)
    only_second = sum(b and not a for a, b in both)
    n = only_first + only_second
    p = float(stats.binomtest(only_first, n, 0.5).pvalue) if n else None
    return Pair(first.name, second.name, only_first, only_second, p, None)
