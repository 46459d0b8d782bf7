"""How well rankings name the cause: AC@k, Avg@5 and MRR, ties by expectation, beside chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import comb, fsum

from tasks.rootcause.model import Scored


@dataclass(frozen=True, slots=True)
class Place:
    """Where the best true candidate of a ranking stands."""

    ahead: int
    """Candidates with a higher score."""
    tied: int
    """Candidates with its score, itself and other true ones included; 0: no true candidate is ranked."""
    true_tied: int
    """True candidates among *tied*."""

    def within(self, k: int) -> float:
        """Probability that a true candidate is among the first *k* when ties are broken at random."""
        slots = min(max(0, k - self.ahead), self.tied)
        if not self.tied:
            return 0.0
        ways = comb(self.tied, slots)
        return (ways - comb(self.tied - self.true_tied, slots)) / ways

    def reciprocal(self) -> float:
        """The expected reciprocal rank of the first true candidate when ties are broken at random."""
        steps = range(self.ahead + 1, self.ahead + self.tied + 1)
        return fsum((self.within(rank) - self.within(rank - 1)) / rank for rank in steps)


MISS = Place(0, 0, 0)
"""Of a case that was not resolved: no onset, or no true candidate in the ranking."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over cases; None without a case."""

    ac_at_1: float | None
    ac_at_3: float | None
    avg_at_5: float | None
    mrr: float | None


def place(ranked: Sequence[Scored], true: Collection[str]) -> Place:
    """The place of the best of *true* in *ranked*; one that could not be scored (None) is below all that could, and ties."""
    heights = [float("-inf") if item.score is None else item.score for item in ranked]
    hits = [height for item, height in zip(ranked, heights, strict=True) if item.name in true]
    if not hits:
        return MISS
    best = max(hits)
    return Place(sum(height > best for height in heights), heights.count(best), hits.count(best))


def measures(places: Sequence[Place]) -> Measures:
    """
    AC@1, AC@3, Avg@5 (mean of AC@1 ... AC@5) and MRR over cases, as in Pham et al. (ASE 2024), ties by expectation.

    An unresolved case counts as a miss.
    """
    if not places:
        return Measures(None, None, None, None)
    return Measures(
        ac_at_1=_mean([p.within(1) for p in places]),
        ac_at_3=_mean([p.within(3) for p in places]),
        avg_at_5=_mean([fsum(p.within(k) for k in range(1, 6)) / 5 for p in places]),
        mrr=_mean([p.reciprocal() for p in places]),
    )


def chance(candidates: int, true: int = 1) -> Place:
    """The place of *true* causes among *candidates* in a ranking without knowledge: all tied."""
    return Place(0, candidates, min(true, candidates))


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)
