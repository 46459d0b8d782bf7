"""Rank every impact event of a recording, and count how often the cause was named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.base.trials import Outcome, Trial
from tasks.rootcause.measures import MISS, Place, chance, measures, place
from tasks.rootcause.model import Observed, Ranking, Scored
from tasks.rootcause.ranking import Ranker

Onset = Literal["injected", "own"]
Level = Literal["service", "metric"]


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, one onset: every method's ranking."""

    trial: str
    service: str
    """The true service."""
    metric: str | None
    """The true column, ``service/metric``; None: unknown, and the case is left out at metric level."""
    onset: Onset
    onset_s: float | None
    """None: not resolved, a miss for every method."""
    rankings: tuple[Ranking, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankingRow:
    """One method at one level and onset, over all cases; undefined is None."""

    method: str
    level: Level
    onset: Onset
    cases: int
    unresolved: int
    ac_at_1: float | None
    ac_at_3: float | None
    avg_at_5: float | None
    mrr: float | None
    chance: float | None
    """AC@1 of a ranking without knowledge, where every case is resolved."""

    def public_row(self) -> dict[str, Any]:
        """The row of the run's public object: its keys and no others."""
        keys = ("method", "level", "onset", "ac_at_1", "ac_at_3", "avg_at_5", "mrr", "chance")
        return {key: getattr(self, key) for key in keys}

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankingReport:
    """All rows, and the cases behind them."""

    rows: tuple[RankingRow, ...]
    cases: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of rows and cases."""
        return {"rows": [row.to_json() for row in self.rows], "cases": [case.to_json() for case in self.cases]}


def rank_trials(
    ranker: Ranker, observed: Observed, trials: Sequence[Trial], *, own_onsets: Mapping[str, float | None], grace_s: float
) -> RankingReport:
    """
    Rank each impact event of *trials* at its injection time and at the detector's own onset.

    The reference before an onset leaves out rows of *earlier* real faults only: what lies between a fault's true beginning and a
    late own onset stays in it, since a user would not know better.

    Args:
        ranker: Learnt from fault-free history.
        observed: The recording of faults.
        trials: All its trials.
        own_onsets: When the detector's alarm opened, by trial id; None or absent: it did not (unresolved, a miss).
        grace_s: Seconds after a fault is back to normal in which it may still show.
    """
    events = [trial for trial in trials if trial.outcome == Outcome.IMPACT and not trial.placebo]
    cases = []
    for onset in _ONSETS:
        for trial in events:
            at = trial.windows.acknowledged if onset == "injected" else own_onsets.get(trial.id)
            usable = untouched_before(observed.time_s, trial, trials, grace_s=grace_s)
            rankings = () if at is None else ranker.rank(observed, at, usable=usable)
            witness = trial.witness if trial.witness in observed.names else None
            cases.append(Case(trial.id, trial.target, witness, onset, at, rankings))
    rows = [
        _row(method, level, [case for case in cases if case.onset == onset], onset, observed)
        for method in ranker.settings.methods
        for level in _LEVELS
        for onset in _ONSETS
    ]
    return RankingReport(tuple(rows), tuple(cases))


_ONSETS: tuple[Onset, ...] = ("injected", "own")
_LEVELS: tuple[Level, ...] = ("service", "metric")


def untouched_before(time_s: NDArray[np.float64], trial: Trial, trials: Sequence[Trial], *, grace_s: float) -> NDArray[np.bool_]:
    """Rows outside [requested, back to normal + grace] of the real faults requested before *trial*, shape ``(n_rows,)``."""
    usable = np.ones(len(time_s), dtype=bool)
    for other in trials:
        windows = other.windows
        if other.placebo or windows.requested >= trial.windows.requested:
            continue
        end = windows.back_to_normal or windows.reverted or windows.revert_requested or windows.requested + other.duration_s
        usable &= (time_s < windows.requested) | (time_s > end + grace_s)
    return usable


def _row(method: str, level: Level, cases: Sequence[Case], onset: Onset, observed: Observed) -> RankingRow:
    judged = [case for case in cases if level == "service" or case.metric is not None]
    places = [_place(case, method, level) for case in judged]
    found = measures(places)
    names = (
        observed.candidates
        if level == "service"
        else [n for n, s in zip(observed.names, observed.services, strict=True) if s in observed.candidates]
    )
    return RankingRow(
        method=method,
        level=level,
        onset=onset,
        cases=len(judged),
        unresolved=sum(case.onset_s is None for case in judged),
        ac_at_1=found.ac_at_1,
        ac_at_3=found.ac_at_3,
        avg_at_5=found.avg_at_5,
        mrr=found.mrr,
        chance=chance(len(names)).within(1) if judged and names else None,
    )


def _place(case: Case, method: str, level: Level) -> Place:
    ranking = next((ranking for ranking in case.rankings if ranking.method == method), None)
    if ranking is None:
        return MISS
    ranked: tuple[Scored, ...] = ranking.services if level == "service" else ranking.metrics
    return place(ranked, {case.service if level == "service" else case.metric or ""})
