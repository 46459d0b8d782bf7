"""The run in one sentence: which detector noticed, how soon, at what price, and whether chance would have done as well."""

from __future__ import annotations

from typing import Any

from tasks.reporting.results import Record, by_merit, failed, is_floor
from tasks.reporting.wording import listed, number, plural, seconds, shown


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


def verdict(run: Record, budget_per_day: float | None = None) -> str:
    """The headline; it never says more than the run can bear."""
    rows = list(run.get("detectors") or ())
    real = [row for row in rows if not is_floor(row)]
    if not real:
        return "No detector was evaluated."
    events = max((row.get("impact_events") or 0 for row in rows), default=0)
    if not events:
        return "No fault of this run hurt users, so no detector can be judged."
    first = leaders(run, budget_per_day)
    if not first:
        return _nobody(real, events, budget_per_day)
    sentence = f"{_names(first)} noticed {_of(first[0]['events_detected'], events)}{_delay(first[0])}{_price(first[0])}."
    return f"{sentence} {_against_chance(rows, first[0], events)}"


def _names(rows: list[Record]) -> str:
    names = [shown(str(row["name"]), 40) for row in rows]
    return listed(names) + (" each" if len(names) > 1 else "")


def _of(count: int, events: int) -> str:
    faults = plural(events, "fault")
    return "the one fault that hurt users" if events == 1 else f"{'all' if count == events else count} of {faults} that hurt users"


def _delay(row: Record) -> str:
    delay = row.get("delay_median_s")
    return "" if delay is None else f", {seconds(delay)} after onset in the median"


def _price(row: Record) -> str:
    rate = row.get("false_alarms_per_day")
    if rate is None:
        return ", with no fault-free time to count false alarms on"
    if rate == 0:
        high = row.get("false_alarms_per_day_high")
        return ", without a false alarm" + ("" if high is None else f" (the time watched excludes only more than {number(high)} a day)")
    return f", at {number(rate)} false alarms a day"


def _against_chance(rows: list[Record], best: Record, events: int) -> str:
    chance = next((row for row in rows if is_floor(row) and row.get("name") == "random" and not failed(row)), None)
    if chance is None or chance.get("events_detected") is None:
        return "There is no random row to compare with."
    noticed = chance["events_detected"]
    if noticed >= best["events_detected"] and (chance.get("false_alarms_per_day") or 0) <= (best.get("false_alarms_per_day") or 0):
        return f"Random scores did as well ({number(noticed)} of {events}): this shows nothing."
    rate = chance.get("false_alarms_per_day")
    return f"Random scores noticed {number(noticed)} of {events}" + ("." if rate is None else f" at {number(rate)} false alarms a day.")


def _nobody(rows: list[Record], events: int, budget_per_day: float | None) -> str:
    if all(failed(row) for row in rows):
        return "Every detector failed; the table says how."
    if any(row.get("events_detected") for row in rows if not failed(row)):
        return f"No detector kept to {number(budget_per_day)} false alarms a day and noticed a fault; the table shows what each did."
    return f"No detector noticed any of {plural(events, 'fault')} that hurt users."
