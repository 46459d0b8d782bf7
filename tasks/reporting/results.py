"""The run object's results as tables: detectors, recall by kind, ranking. Plain Python only: a stored run is printed without numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.reporting.grid import Cell, Grid, Heading, Row, text, undefined
from tasks.reporting.wording import measure, number, ratio, seconds, share, shown

FLOOR = "floor"
Record = Mapping[str, Any]

DETECTOR_HEADINGS = (
    Heading("Detector", meaning="name, and the family it belongs to"),
    Heading("Noticed", True, "faults that hurt users and for which an alarm opened inside the fault's window"),
    Heading("False alarms a day", True, "measured on all time outside faults and benign changes, with its 95 % interval"),
    Heading("Bound a day", True, "the smallest rate of false alarms a day that this calibration is long enough to bound", minor=1),
    Heading("In alarm", True, "share of fault-free time spent in alarm"),
    Heading("Delay", True, "median from the fault's acknowledgement to the alarm, misses censored"),
    Heading("Delay p90", True, "the same, 90th percentile", minor=3),
    Heading("AUC-PR", True, "area under precision-recall, no threshold", minor=4),
    Heading("VUS-PR", True, "volume under precision-recall over buffer lengths, no threshold"),
    Heading("Placebo alarms", True, "share of placebos with an alarm; must equal that of quiet time", minor=2),
)
BENIGN = Heading(
    "Benign alarms", True, "benign changes that no user noticed and at which an alarm was open, with the 95 % interval of their share"
)
"""A column only where a benign change was made."""
LOAD_CHANGE = Heading(
    "Load changes",
    True,
    "false alarms a day on ramps and steps of the load over those under steady load; below, both rates and the time behind each",
    minor=5,
)
"""A column only where the load did change."""


def is_floor(row: Record) -> bool:
    """Whether *row* is one of the floors: what chance gives."""
    return bool(row.get("family") == FLOOR)


def failed(row: Record) -> bool:
    """Whether the detector of *row* has no result."""
    return bool(row.get("status", "ok") != "ok")


def by_merit(rows: Sequence[Record]) -> list[Record]:
    """Most faults noticed first, then fewest false alarms, then shortest delay, then name; failed ones last."""

    def merit(row: Record) -> tuple[Any, ...]:
        return (
            failed(row),
            -(row.get("events_detected") or 0),
            _last(row.get("false_alarms_per_day")),
            _last(row.get("delay_median_s")),
            is_floor(row),
            str(row.get("name")),
        )

    return sorted(rows, key=merit)


def _last(value: float | None) -> float:
    return float("inf") if value is None else value


def detectors(run: Record, source: str = "") -> Grid:
    """One row a detector, the floors among them where their results put them."""
    found = by_merit(run.get("detectors") or ())
    extra = ((BENIGN, _benign, "benign_changes"), (LOAD_CHANGE, _load_change, "load_changing_s"))
    more = [(heading, cell) for heading, cell, key in extra if any(row.get(key) for row in found)]
    headings = (*DETECTOR_HEADINGS, *(heading for heading, _ in more))
    rows = tuple(Row(_detector_cells(row, [cell for _, cell in more]), quiet=is_floor(row)) for row in found)
    return Grid(
        "detectors",
        "Detectors, the best first; floors show what chance gives",
        headings,
        rows,
        source,
        empty="no detector was evaluated",
    )


def _detector_cells(row: Record, more: Sequence[Callable[[Record], Cell]]) -> tuple[Cell, ...]:
    name, family = shown(str(row.get("name"))), shown(str(row.get("family") or ""))
    if failed(row):
        why = f"the detector ended with: {shown(str(row.get('status')))}"
        return (text(name, sub=why, tone="bad"), *(undefined(why) for _ in (*DETECTOR_HEADINGS[1:], *more)))
    noticed, events = row.get("events_detected"), row.get("impact_events")
    return (
        text(name, sub=family),
        undefined("no fault of this run hurt users") if not events else Cell(share(noticed, events), noticed),
        _false_alarms(row),
        _claim(row),
        _cell(row, "time_in_alarm_ratio", ratio, "there is no fault-free time to measure on"),
        _cell(row, "delay_median_s", seconds, "fewer than half of the faults were noticed"),
        _cell(row, "delay_p90_s", seconds, "fewer than nine in ten faults were noticed"),
        _cell(row, "auc_pr", measure, "the scores or the faults do not define it"),
        _cell(row, "vus_pr", measure, "the scores or the faults do not define it"),
        _cell(row, "placebo_alarm_ratio", ratio, "no placebo was run"),
        *(cell(row) for cell in more),
    )


def _cell(row: Record, key: str, say: Any, why: str) -> Cell:
    value = row.get(key)
    return undefined(why) if value is None else Cell(say(value), value)


def _false_alarms(row: Record) -> Cell:
    rate = row.get("false_alarms_per_day")
    if rate is None:
        return undefined("there is no fault-free time to measure on")
    low, high = row.get("false_alarms_per_day_low"), row.get("false_alarms_per_day_high")
    interval = "" if low is None or high is None else f"{number(low)} to {number(high)}"
    return Cell(number(rate), rate, sub=interval)


def _benign(row: Record) -> Cell:
    changes, alarmed = row.get("benign_changes"), row.get("benign_changes_alarmed")
    if not changes or alarmed is None:
        return undefined("no benign change was made")
    low, high = row.get("benign_alarm_ratio_low"), row.get("benign_alarm_ratio_high")
    interval = "" if low is None or high is None else f"{ratio(low)} to {ratio(high)}"
    return Cell(share(alarmed, changes), alarmed, sub=interval)


def _load_change(row: Record) -> Cell:
    changing_s, steady_s = row.get("load_changing_s"), row.get("load_steady_s")
    if not changing_s:
        return undefined("the load did not change, or nobody kept it")
    changing, steady = row.get("false_alarms_load_changing_per_day"), row.get("false_alarms_load_steady_per_day")
    rates = f"{number(changing)} in {seconds(changing_s)}, {number(steady)} in {seconds(steady_s)}"
    found = row.get("load_change_ratio")
    why = "" if found is not None else "undefined: under steady load there was no time, or no false alarm"
    return Cell(number(found), found, sub=rates, why=why, tone="quiet" if found is None else "")


def _claim(row: Record) -> Cell:
    bound = row.get("false_alarm_bound_per_day")
    if bound is None:
        return undefined("the calibration recording bounds no rate")
    if row.get("budget_supported"):
        return Cell(f"≤ {number(bound)}", bound)
    return Cell(
        f"≤ {number(bound)}", bound, sub="budget unproven", why="the calibration recording is too short to support the asked budget"
    )


def recall_by_kind(run: Record, source: str = "") -> Grid:
    """One row a detector, one column a kind and intensity: faults noticed of those that hurt users."""
    rows = [row for row in by_merit(run.get("detectors") or ()) if not failed(row)]
    found = [{(str(part["kind"]), float(part["intensity"])): part for part in row.get("recall_by") or ()} for row in rows]
    columns = sorted({key for parts in found for key in parts})
    body = tuple(
        Row((text(shown(str(row.get("name")))), *(_recall(parts.get(key)) for key in columns)), quiet=is_floor(row))
        for row, parts in zip(rows, found, strict=True)
        if columns
    )
    headings = (Heading("Detector"), *(Heading(f"{shown(kind, 40)} {number(intensity)}", True) for kind, intensity in columns))
    caption = "Faults noticed by kind and intensity"
    return Grid("kinds", caption, headings, body, source, empty="no fault hurt users, so there is no recall to split")


def _recall(part: Record | None) -> Cell:
    if part is None or not part.get("impact_events"):
        return undefined("no fault of this kind and intensity hurt users")
    hits, events = part["events_detected"], part["impact_events"]
    return Cell(f"{number(hits)}/{events}", hits / events, tone="good" if hits == events else "bad" if hits == 0 else "")


RANKING_HEADINGS = (
    Heading("Method"),
    Heading("Ranks"),
    Heading("Starts from"),
    Heading("First", True, "AC@1: share of faults whose culprit stands first"),
    Heading("Top three", True, "AC@3: share of faults whose culprit is among the first three"),
    Heading("Avg@5", True, "mean of AC@1 to AC@5"),
    Heading("MRR", True, "mean of 1 / place of the culprit"),
    Heading("By chance", True, "AC@1 of a random order"),
)
ONSETS = {"own": "the detector's alarm", "injected": "the injection (told)"}


def ranking(run: Record, source: str = "") -> Grid:
    """One row a method, level and onset."""
    rows = sorted(
        run.get("ranking") or (),
        key=lambda row: (str(row.get("level")) != "service", str(row.get("onset")) != "own", -(row.get("avg_at_5") or 0)),
    )
    body = tuple(
        Row(
            (
                text(shown(str(row.get("method")))),
                text(f"{shown(str(row.get('level')))}s"),
                text(ONSETS.get(str(row.get("onset")), shown(str(row.get("onset"))))),
                *(_cell(row, key, measure, "no fault was ranked") for key in ("ac_at_1", "ac_at_3", "avg_at_5", "mrr", "chance")),
            ),
            quiet=row.get("method") == "random",
        )
        for row in rows
    )
    return Grid(
        "ranking", "Where the fault was: the culprit's place in each ranking", RANKING_HEADINGS, body, source, empty="nothing was ranked"
    )
