"""The run in a sentence or two: which detector noticed, how soon, at what price, and whether chance would have done as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.reporting.results import Record, by_merit, failed, is_floor
from tasks.reporting.wording import listed, number, plural, seconds, shown

NAMED = 3
"""Detectors that share the first place and are named in the headline; more are counted there and named below it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """*headline* is the result, *detail* what one has to know to weigh it."""

    headline: str
    detail: str = ""


def leaders(run: Record, budget_per_day: float | None) -> list[Record]:
    """
    The detectors that share the first place.

    Of those that kept to the budget (when one is known) those with most faults noticed, then fewest false alarms, then the
    shortest median delay. Empty when none noticed anything within the budget.
    """
    able = [row for row in run.get("detectors") or () if not is_floor(row) and not failed(row) and row.get("events_detected")]
    if budget_per_day is not None:
        able = [row for row in able if row.get("false_alarms_per_day") is not None and row["false_alarms_per_day"] <= budget_per_day]
    ordered = by_merit(able)
    return [row for row in ordered if _place(row) == _place(ordered[0])]


def _place(row: Record) -> tuple[Any, ...]:
    return (row.get("events_detected"), row.get("false_alarms_per_day"), row.get("delay_median_s"))


def verdict(run: Record, budget_per_day: float | None = None) -> Verdict:
    """What the run shows; it never says more than the run can bear."""
    rows = list(run.get("detectors") or ())
    real = [row for row in rows if not is_floor(row)]
    if not real:
        return Verdict("No detector was evaluated.")
    if all(failed(row) for row in real):
        return Verdict("Every detector failed.", "The table says how.")
    events = max((row.get("impact_events") or 0 for row in rows), default=0)
    if not events:
        return Verdict("No fault of this run hurt users, so no detector can be judged.")
    first = leaders(run, budget_per_day)
    if not first:
        return _nobody(real, events, budget_per_day)
    headline = f"{_names(first)} noticed {_of(first[0]['events_detected'], events)}{_delay(first[0])}."
    return Verdict(headline, " ".join(part for part in (_tied(first), _price(first[0]), _against_chance(rows, first[0], events)) if part))


def _names(rows: list[Record]) -> str:
    names = [shown(str(row["name"]), 40) for row in rows]
    return f"{len(names)} detectors each" if len(names) > NAMED else listed(names) + (" each" if len(names) > 1 else "")


def _tied(rows: list[Record]) -> str:
    return f"They are {listed([shown(str(row['name']), 40) for row in rows])}." if len(rows) > NAMED else ""


def _of(count: float, events: int) -> str:
    if events == 1:
        return "the one fault that hurt users"
    return f"all {events:,} faults that hurt users" if count == events else f"{number(count)} of {events:,} faults that hurt users"


def _delay(row: Record) -> str:
    delay = row.get("delay_median_s")
    return "" if delay is None else f", in the median {seconds(delay)} after onset"


def _price(row: Record) -> str:
    rate, high = row.get("false_alarms_per_day"), row.get("false_alarms_per_day_high")
    if rate is None:
        return "There was no fault-free time to count false alarms on."
    if rate:
        return f"The price is {number(rate)} false alarms a day."
    return "No false alarm was raised" + ("." if high is None else f"; the time watched excludes only rates above {number(high)} a day.")


def _against_chance(rows: list[Record], best: Record, events: int) -> str:
    floors = [row for row in rows if is_floor(row) and not failed(row) and row.get("events_detected") is not None]
    chance = next((row for row in floors if row.get("name") == "random"), None)
    if chance is None:
        return "There is no random row to compare with."
    if _as_good(chance, best):
        return f"Random scores did as well, {number(chance['events_detected'])} of {events:,}: this shows nothing."
    rate = chance.get("false_alarms_per_day")
    sentence = f"Random scores noticed {number(chance['events_detected'])} of {events:,}" + (
        f" at {number(rate)} false alarms a day." if rate else "."
    )
    as_good = [shown(str(row["name"]), 40) for row in floors if _as_good(row, best)]
    return f"{sentence} The floor {listed(as_good)}, which learns nothing, did as well as the best." if as_good else sentence


def _as_good(floor: Record, best: Record) -> bool:
    """Whether *floor* noticed as many faults for no more false alarms."""
    cheap = (floor.get("false_alarms_per_day") or 0) <= (best.get("false_alarms_per_day") or 0)
    return bool(floor["events_detected"] >= best["events_detected"] and cheap)


def _nobody(rows: list[Record], events: int, budget_per_day: float | None) -> Verdict:
    if any(row.get("events_detected") for row in rows if not failed(row)):
        return Verdict(
            f"No detector noticed a fault and kept to {number(budget_per_day)} false alarms a day.",
            "The table shows what each did instead.",
        )
    return Verdict(f"No detector noticed any of {plural(events, 'fault')} that hurt users.")
