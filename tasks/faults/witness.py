"""
What a fault did, from measured series alone: injected or not, impact or not, first effect, back to normal.

A series *leaves* its reference when it is further from it than 3 scales and further than its resolution, for at least two rows
in succession. The reference is the median of the last 15 fault-free rows; the scale is the largest of IQR/1.349, a tenth of
the standard deviation, 1 % of the absolute median, and the metric's resolution. Masked rows and NaN say nothing and are passed
over. What users wait has to be outside for half of the fault: with a dozen endpoints some p95 leaves its reference for two seconds
in nearly any minute (docs/decisions/impact-lasts.md). No detector's score is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Windows
from tasks.faults.kind import WITNESS_ROWS, Direction

REFERENCE_ROWS = 15
FEWEST_REFERENCE_ROWS = 5
SCALES = 3.0
CALM_ROWS = 3
BY_CHANCE = "users' indicators moved in a placebo"
"""So a note of a placebo begins that would have been called a fault with impact."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Indicator:
    """A series to look at: rows at *time_s* (ascending, wall clock), shape ``(n,)`` each; only rows with *valid* count."""

    name: str
    time_s: Floats
    value: Floats
    valid: Bools
    resolution: float
    """Smallest change that matters, in the unit of the values."""
    direction: Direction = "either"
    returns: bool = True
    """Whether it is expected back after the fault."""
    resolution_ratio: float = 0.0
    """Smallest change that matters, as a share of the reference; the larger of the two counts."""
    lasting: bool = False
    """Whether it has to be outside for half of the fault, since single rows of it are so without one, too."""

    def known(self) -> Bools:
        """Rows that say something."""
        return self.valid & np.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a series was before the fault, and by how much it may differ and still count as normal."""

    centre: float
    scale: float
    band: float
    """max(3 scales, resolution)."""
    rows: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trial did."""

    outcome: Outcome | None
    """None for a placebo."""
    first_effect: float | None
    """Wall time of the first row in which a witness was outside; None: never."""
    back_to_normal: float | None
    """Wall time of the first row from which witnesses and callers stayed inside; None: not seen."""
    witness: str | None
    """The witness that left, else the usual one."""
    note: str = ""


def reference(series: Indicator, before_s: float, excluded: Iterable[Interval]) -> Reference | None:
    """
    The reference of *series* at *before_s*: its last 15 known rows earlier than that and outside *excluded* (earlier faults).

    None when fewer than 5 such rows exist.
    """
    usable = series.known() & (series.time_s < before_s)
    for span in excluded:
        usable &= ~((series.time_s >= span.start_s) & (series.time_s <= span.end_s))
    rows = series.value[usable][-REFERENCE_ROWS:].astype(np.float64)
    if len(rows) < FEWEST_REFERENCE_ROWS:
        return None
    centre = float(np.median(rows))
    low, high = np.percentile(rows, (25, 75))
    resolution = max(series.resolution, series.resolution_ratio * abs(centre))
    scale = max(float(high - low) / 1.349, 0.1 * float(np.std(rows)), 0.01 * abs(centre), resolution)
    return Reference(centre, scale, max(SCALES * scale, resolution), len(rows))


def outside(series: Indicator, ref: Reference) -> Bools:
    """Rows, shape ``(n,)``, that are further from the reference than the band in the series' direction; unknown rows are not."""
    with np.errstate(invalid="ignore"):
        away = series.value - ref.centre
        if series.direction == "down":
            away = -away
        elif series.direction == "either":
            away = np.abs(away)
        return np.asarray(series.known() & (away > ref.band), dtype=np.bool_)


def left_rows(series: Indicator, ref: Reference) -> NDArray[np.intp]:
    """Indices of known rows that are outside together with a known neighbour: single rows are noise."""
    known = np.flatnonzero(series.known())
    away = outside(series, ref)[known]
    paired = np.zeros(len(away), dtype=bool)
    if len(away) >= WITNESS_ROWS:
        both = away[1:] & away[:-1]
        paired[1:] |= both
        paired[:-1] |= both
    return known[paired]


def first_leave(series: Indicator, ref: Reference, window: Interval) -> float | None:
    """Wall time of the first of at least two rows in succession inside *window* that are outside; None: there are none."""
    inside = (series.time_s >= window.start_s) & (series.time_s <= window.end_s)
    rows = left_rows(replace(series, valid=series.valid & inside), ref)
    return float(series.time_s[rows[0]]) if len(rows) else None


def lasts(series: Indicator, ref: Reference, fault: Interval) -> bool:
    """Whether at least half of the known rows inside *fault* are outside, and at least two."""
    inside = (series.time_s >= fault.start_s) & (series.time_s <= fault.end_s) & series.known()
    away = int(np.count_nonzero(outside(series, ref) & inside))
    return away >= WITNESS_ROWS and 2 * away >= int(np.count_nonzero(inside))


def returned_to_normal(watched: Sequence[tuple[Indicator, Reference]], since_s: float, until_s: float = np.inf) -> float | None:
    """
    Wall time of the first row after *since_s* at which every series begins three known rows inside its band; None: not yet.

    What a series does later is not this fault's any more: a benign excursion does not take a return back. Rows after *until_s*
    do not count. Used on the series so far, it says whether the next fault may start.
    """
    calm: list[tuple[Floats, Bools]] = []
    for series, ref in watched:
        rows = series.known() & (series.time_s >= since_s) & (series.time_s <= until_s)
        inside = ~outside(series, ref)[rows]
        if len(inside) < CALM_ROWS:
            return None
        calm.append((series.time_s[rows], np.convolve(inside, np.ones(CALM_ROWS))[CALM_ROWS - 1 :][: len(inside)] >= CALM_ROWS))
    moments = np.unique(np.concatenate([times for times, _ in calm])) if calm else np.array([since_s])
    for moment in moments:
        if all(_calm_from(times, starts, float(moment)) for times, starts in calm):
            return float(moment)
    return None


def _calm_from(times: Floats, starts: Bools, moment_s: float) -> bool:
    """Whether the first row at or after *moment_s* begins a calm stretch."""
    place = int(np.searchsorted(times, moment_s))
    return place < len(starts) and bool(starts[place])


@dataclass(frozen=True, slots=True)
class Evidence:
    """The series that speak about one trial."""

    witnesses: Sequence[Indicator]
    """Of the kind, the usual one first; one of them must leave."""
    users: Sequence[Indicator]
    """What users see: the load generator's error ratio, p95 and achieved share, direct callers' error ratio and p95."""
    callers: Sequence[Indicator] = ()
    """What must be back to normal as well, before the next fault."""


def judge(
    evidence: Evidence, windows: Windows, *, excluded: Sequence[Interval], grace_s: float, placebo: bool, until_s: float = np.inf
) -> Verdict:
    """
    The verdict on one trial.

    Args:
        evidence: Witnesses and users' indicators.
        windows: Requested, acknowledged and reverted at least.
        excluded: Other faults' spans, [requested, back to normal + grace]: no reference rows.
        grace_s: Longest rate window in use + 2 grid steps.
        placebo: A placebo has no outcome; whether its witness moved is said in the note.
        until_s: Where the next trial begins: what happens later is not this one's.
    """
    end_s = min((windows.reverted if windows.reverted is not None else windows.requested) + grace_s, until_s)
    usual = evidence.witnesses[0].name if evidence.witnesses else None
    spans, window = tuple(excluded), Interval(windows.requested, max(windows.requested, end_s))
    known = _with_references(evidence.witnesses, windows.requested, spans)
    if windows.acknowledged is None:
        return Verdict(None if placebo else Outcome.NOT_INJECTED, None, None, usual, "it was never acknowledged")
    if not known:
        return Verdict(None if placebo else Outcome.NOT_INJECTED, None, None, usual, "its witness has no fault-free reference")
    leaves = [(when, series.name) for series, ref in known if (when := first_leave(series, ref, window)) is not None]
    first, witness = min(leaves, default=(None, usual))
    watched = [*known, *_with_references(evidence.callers, windows.requested, spans)]
    since = windows.reverted if windows.reverted is not None else windows.acknowledged
    back = returned_to_normal([(series, ref) for series, ref in watched if series.returns], since, until_s)
    during = Interval(windows.acknowledged, max(windows.acknowledged, end_s))
    fault = during if windows.reverted is None else Interval(during.start_s, max(during.start_s, min(windows.reverted, during.end_s)))
    hit = _impact(evidence.users, windows.requested, spans, during, fault)
    if placebo:
        moved = ["the witness moved in a placebo"] if leaves else []
        return Verdict(None, first, back, witness, "; ".join([*moved, *([f"{BY_CHANCE}: {hit[0]}"] if hit else [])]))
    if not leaves:
        felt = f", though users noticed: {hit[0]}" if hit else ""
        return Verdict(Outcome.NOT_INJECTED, None, back, usual, f"its witness did not leave the reference{felt}")
    outcome = Outcome.IMPACT if hit else Outcome.INJECTED_NO_IMPACT
    return Verdict(outcome, first, back, witness, f"impact seen in {hit[0]}" if hit else "no user-side indicator left its reference")


def _with_references(series: Iterable[Indicator], before_s: float, excluded: Sequence[Interval]) -> list[tuple[Indicator, Reference]]:
    found = ((one, reference(one, before_s, excluded)) for one in series)
    return [(one, ref) for one, ref in found if ref is not None]


def _impact(users: Iterable[Indicator], before_s: float, excluded: Sequence[Interval], window: Interval, fault: Interval) -> list[str]:
    """Names of the users' indicators that left in *window*, or were outside for half of *fault* where that is asked, in their order."""
    return [
        one.name
        for one, ref in _with_references(users, before_s, excluded)
        if (lasts(one, ref, fault) if one.lasting else first_leave(one, ref, window) is not None)
    ]
