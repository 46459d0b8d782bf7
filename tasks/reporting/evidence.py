"""The results one by one: each trial, each detector at each trial, each miss, each false alarm."""

from __future__ import annotations

from tasks.base.trials import Outcome, Trial
from tasks.reporting.figures import window_of
from tasks.reporting.grid import Cell, Grid, Heading, Row, capped, text, undefined
from tasks.reporting.model import EventResult, FalseAlarm, RecordingView, ReportData
from tasks.reporting.results import by_merit, is_floor
from tasks.reporting.wording import UNDEFINED, anchor, number, ratio, seconds, shown

OUTCOMES = {
    Outcome.IMPACT: ("hurt users", "bad"),
    Outcome.INJECTED_NO_IMPACT: ("no user noticed", ""),
    Outcome.NOT_INJECTED: ("void: did not take", "quiet"),
    Outcome.BENIGN: ("benign", "quiet"),
    Outcome.BENIGN_IMPACT: ("benign, users noticed", ""),
}


def trials(view: RecordingView) -> Grid:
    """One row a trial of *view*, numbered as in the time line; times count from the recording's start."""
    headings = (
        "No",
        "Fault",
        "Target",
        "Intensity",
        "Outcome",
        "Requested",
        "Active after",
        "First effect",
        "Reverted after",
        "Normal after",
        "Remark",
    )
    rows = tuple(_trial(index, trial, view.span.start_s) for index, trial in enumerate(view.trials, 1))
    return Grid(
        anchor("trials", view.name),
        f"Trials of recording {shown(view.name)}; “after” counts from the request",
        tuple(Heading(words, numeric=index in {0, 3, 5, 6, 7, 8, 9}) for index, words in enumerate(headings)),
        rows,
    )


def _trial(index: int, trial: Trial, start_s: float) -> Row:
    windows = trial.windows
    words, tone = ("placebo", "quiet") if trial.placebo else OUTCOMES[trial.outcome] if trial.outcome else ("not judged", "quiet")
    after = (windows.acknowledged, windows.first_effect, windows.reverted, windows.back_to_normal)
    return Row(
        (
            Cell(str(index), index),
            text(shown(trial.kind), sub=shown(trial.id)),
            text(shown(trial.target)),
            Cell(number(trial.intensity), trial.intensity),
            text(words, tone=tone),
            Cell(seconds(windows.requested - start_s), windows.requested - start_s),
            *(
                undefined("it was not seen") if at is None else Cell(seconds(at - windows.requested), at - windows.requested)
                for at in after
            ),
            text(shown(trial.note) or UNDEFINED),
        ),
        quiet=trial.placebo,
    )


def detector_order(data: ReportData) -> list[str]:
    """Names of detectors, best first, floors last; those known only from scores or events after the others."""
    rows = by_merit(data.run.get("detectors") or ())
    known = [str(row["name"]) for row in sorted(rows, key=is_floor)]
    others = sorted({item.detector for item in data.scores} | {item.detector for item in data.events})
    others = [name for name in others if name not in known]
    return [*known, *others]


def events(data: ReportData) -> Grid:
    """Detector by trial: the delay when noticed, else what happened instead."""
    found = {(result.detector, result.trial): result for result in data.events}
    numbered = [(view, index, trial) for view in data.recordings for index, trial in enumerate(view.trials, 1)]
    headings = [Heading("Detector")]
    for _, index, trial in numbered:
        headings.append(
            Heading(f"{index} {'placebo' if trial.placebo else shown(trial.kind, 30)}", True, f"{title(trial)}; trial {shown(trial.id)}")
        )
    rows = tuple(
        Row((text(shown(name)), *(_event(found.get((name, trial.id)), trial) for _, _, trial in numbered)))
        for name in detector_order(data)
        if any(detector == name for detector, _ in found)
    )
    return Grid(
        "events",
        "Each detector at each trial: seconds from the fault to the alarm",
        tuple(headings),
        rows,
        data.sources.get("events", ""),
        empty="no trial was evaluated",
    )


def title(trial: Trial) -> str:
    """What the trial did to what."""
    return f"{shown(trial.kind)} on {shown(trial.target)} at {number(trial.intensity)}"


def _event(result: EventResult | None, trial: Trial) -> Cell:
    if result is None:
        return undefined("this detector has no result for this trial")
    why = shown(result.reason)
    if result.outcome == "detected":
        words = "alarm" if result.delay_s is None else f"{result.delay_s:.1f} s"
        return Cell(words, result.delay_s, why=why, tone="good" if trial.fault else "bad" if _is_false(trial) else "")
    if result.outcome == "not-counted":
        return undefined(why or "the trial does not count")
    if not trial.fault:
        return Cell("silent", None, why=why or "no alarm, as it should be", tone="quiet")
    return Cell("masked" if result.outcome == "masked" else "missed", None, why=why, tone="bad")


def _is_false(trial: Trial) -> bool:
    """Whether an alarm at *trial* is certainly wrong."""
    return not trial.fault and trial.outcome is not Outcome.BENIGN_IMPACT


def misses(data: ReportData) -> Grid:
    """Faults that hurt users and that a real detector did not notice, one by one, with the reason."""
    floors = {str(row["name"]) for row in data.run.get("detectors") or () if is_floor(row)}
    places = {trial.id: (view, index, trial) for view in data.recordings for index, trial in enumerate(view.trials, 1)}
    rows = []
    for result in data.events:
        view, index, trial = places.get(result.trial, (None, 0, None))
        if view is None or trial is None or not trial.fault or result.detector in floors or result.outcome not in {"missed", "masked"}:
            continue
        outcome = "" if trial.outcome is None else OUTCOMES[trial.outcome][0]
        rows.append(
            Row(
                (
                    text(shown(result.detector)),
                    Cell(f"{index}", index),
                    text(title(trial), sub=outcome),
                    text(result.outcome),
                    text(shown(result.reason) or UNDEFINED),
                )
            )
        )
    headings = (Heading("Detector"), Heading("Trial", True), Heading("Fault"), Heading("What"), Heading("Why"))
    return capped(
        Grid(
            "misses",
            "Faults not noticed, one by one (floors left out)",
            headings,
            tuple(rows),
            data.sources.get("events", ""),
            empty="no fault was missed",
        )
    )


def false_alarms(data: ReportData) -> Grid:
    """Alarms outside faults, on benign changes too, one by one, with the columns that raised them; the floors' are only counted."""
    floors = {str(row["name"]) for row in data.run.get("detectors") or () if is_floor(row)}
    starts = {view.name: view for view in data.recordings}
    told = [alarm for alarm in data.false_alarms if alarm.detector not in floors]
    hidden = len(data.false_alarms) - len(told)
    rows = tuple(_false_alarm(alarm, starts.get(alarm.recording)) for alarm in told)
    headings = (
        Heading("Detector"),
        Heading("Recording"),
        Heading("At", True),
        Heading("Length", True),
        Heading("Raised by"),
        Heading("Meanwhile"),
    )
    return capped(
        Grid(
            "false-alarms",
            "False alarms, one by one",
            headings,
            rows,
            data.sources.get("events", ""),
            note=f"{hidden:,} of the floors are not listed." if hidden else "",
            empty="no detector raised a false alarm",
        )
    )


def _false_alarm(alarm: FalseAlarm, view: RecordingView | None) -> Row:
    at = alarm.open_s - (view.span.start_s if view else 0.0)
    causes = ", ".join(f"{shown(part.column, 60)} {ratio(part.share)}" for part in alarm.contributors[:4])
    return Row(
        (
            text(shown(alarm.detector)),
            text(shown(alarm.recording)),
            Cell(seconds(at) if view else UNDEFINED, at),
            Cell(seconds(alarm.close_s - alarm.open_s), alarm.close_s - alarm.open_s),
            text(causes) if causes else undefined("this detector does not say which columns raised it"),
            text(shown(alarm.note) or _meanwhile(alarm, view) or UNDEFINED),
        )
    )


def _meanwhile(alarm: FalseAlarm, view: RecordingView | None) -> str:
    for index, trial in enumerate(view.trials if view else (), 1):
        window = window_of(trial)
        if not trial.fault and window.start_s <= alarm.open_s <= window.end_s:
            return f"inside {'placebo' if trial.placebo else 'benign change'} {index}"
    return ""
