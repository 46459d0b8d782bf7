"""The report's figures: what was run, load, metrics around each trial, metrics over a recording, scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial
from tasks.reporting.axis import compressed, label, linear
from tasks.reporting.model import Floats, LoadHistory, MetricHistory, RecordingView, ScoreHistory
from tasks.reporting.svg import Band, Line, Plot, draw
from tasks.reporting.wording import number, seconds, shown

BEFORE_S, AFTER_S = 15.0, 12.0
"""Seconds drawn around a trial at least; a long trial gets as much as its own length."""
TRIAL_PLOTS = 4
OVERVIEW_PLOTS = 36
CALLER_METRICS = ("latency_p95_s", "error_ratio")


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its visible title and the classes of its lines, each with a word."""

    title: str
    markup: Markup
    keys: tuple[tuple[str, str], ...] = ()


def window_of(trial: Trial) -> Interval:
    """From the request until everything was back to normal, or as much of that as is known."""
    windows = trial.windows
    last = windows.back_to_normal or windows.reverted or windows.revert_requested or (windows.requested + trial.duration_s)
    return Interval(windows.requested, max(windows.requested, last))


def title_of(trial: Trial) -> str:
    """``cpu_squeeze on orders, intensity 0.9``."""
    kind = f"placebo of {shown(trial.kind)}" if trial.placebo else f"benign {shown(trial.kind)}" if trial.benign else shown(trial.kind)
    return f"{kind} on {shown(trial.target)}, intensity {number(trial.intensity)}"


def _css(trial: Trial) -> str:
    if trial.placebo:
        return "placebo"
    if trial.outcome is Outcome.NOT_INJECTED:
        return "void"
    return "benign" if trial.benign else "fault"


def bands(trials: Iterable[Trial]) -> tuple[Band, ...]:
    """Two bands a trial: its whole window, and inside it, darker, the time in which the fault was active."""
    result = []
    for trial in trials:
        window, css = window_of(trial), _css(trial)
        active = trial.windows.acknowledged or window.start_s
        result.append(Band(window.start_s, window.end_s, f"{css}-window"))
        result.append(Band(active, trial.windows.reverted or window.end_s, css, title=title_of(trial)))
    return tuple(result)


def timeline(view: RecordingView) -> Markup | None:
    """The recording from start to end, its trials numbered, degraded seconds and gaps below; None when it has none of these."""
    if not (view.trials or view.degraded or view.gaps):
        return None
    tagged = [
        Band(window_of(trial).start_s, window_of(trial).end_s, _css(trial), title_of(trial), str(index))
        for index, trial in enumerate(view.trials, 1)
    ]
    flaws = [Band(span.start_s, span.end_s + 1, "degraded", f"degraded: {shown(span.reason)}") for span in view.degraded]
    flaws += [Band(gap.start_s, gap.end_s, "gap", f"gap: {shown(gap.target)}, {seconds(gap.end_s - gap.start_s)}") for gap in view.gaps]
    described = "; ".join(
        f"{index}: {title_of(trial)}, from {seconds(window_of(trial).start_s - view.span.start_s)}"
        for index, trial in enumerate(view.trials, 1)
    )
    plot = Plot(
        key=f"timeline {view.name}",
        title=f"Time line of recording {shown(view.name)}",
        description=f"{seconds(view.span.length_s)} long. {described or 'No fault was injected.'}",
        start_s=view.span.start_s,
        end_s=_end(view),
        height=18,
        bands=tuple(tagged),
        lane=tuple(flaws),
    )
    return draw(plot)


def _end(view: RecordingView) -> float:
    return max(view.span.end_s, view.span.start_s + 1)


def load(view: RecordingView) -> tuple[Figure, ...]:
    """Users, journeys, requests, errors and both latencies of a recording; none when its load is unknown."""
    history = view.load
    if history is None or not history.second.size:
        return ()
    planned = (("plan", "planned"), ("one", "achieved"))
    return (
        _load(view, history, "Users", "", planned, (history.users_planned, history.users_present)),
        _load(view, history, "Journeys a second", "", planned, (history.journeys_planned, history.journeys_completed)),
        _load(view, history, "Requests a second", "", (("one", "requests"),), (history.requests_per_s,)),
        _load(view, history, "Errors", "ratio", (("one", "5xx and transport"),), (history.error_ratio,)),
        _load(
            view,
            history,
            "Latency, 95th percentile",
            "s",
            (("two", "from the intended start"), ("one", "from the send")),
            (history.p95_from_intended_s, history.p95_from_send_s),
        ),
    )


def _load(
    view: RecordingView, history: LoadHistory, title: str, unit: str, keys: tuple[tuple[str, str], ...], series: tuple[Floats, ...]
) -> Figure:
    largest = [float(values[np.isfinite(values)].max()) for values in series if np.isfinite(values).any()]
    peaks = ", ".join(f"{words} up to {number(peak)}" for (_, words), peak in zip(keys, largest, strict=False))
    plot = Plot(
        key=f"load {view.name} {title}",
        title=f"{title}, recording {shown(view.name)}",
        description=f"Over {seconds(view.span.length_s)}: {peaks or 'nothing was measured'}.",
        start_s=view.span.start_s,
        end_s=_end(view),
        height=72,
        scale=linear(np.concatenate(series), unit),
        lines=tuple(Line(history.second, values, css) for (css, _), values in zip(keys, series, strict=True)),
        bands=bands(view.trials),
        buckets=300,
    )
    return Figure(title, draw(plot), keys if len(keys) > 1 else ())


def columns_of(trial: Trial, metrics: MetricHistory, edges: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
    """Indices of the columns that tell the trial's story: its witness, latency and errors of its callers, then its own latency."""
    callers = sorted({caller for caller, callee in edges if callee == trial.target})
    wanted = [trial.witness or "", *(f"{caller}/{metric}" for metric in CALLER_METRICS for caller in callers)]
    wanted += [f"{trial.target}/{metric}" for metric in CALLER_METRICS]
    places = {column.name: index for index, column in enumerate(metrics.columns)}
    return tuple(dict.fromkeys(places[name] for name in wanted if name in places))[:TRIAL_PLOTS]


def trial_metrics(view: RecordingView, trial: Trial, edges: tuple[tuple[str, str], ...]) -> tuple[Figure, ...]:
    """The trial's witness and callers from before its request until after it was over; time counts from `acknowledged`."""
    if view.metrics is None:
        return ()
    window = window_of(trial)
    span = Interval(window.start_s - max(BEFORE_S, window.length_s / 2), window.end_s + max(AFTER_S, window.length_s / 4))
    figures = []
    for index in columns_of(trial, view.metrics, edges):
        words = "what must move" if view.metrics.columns[index].name == trial.witness else "as users and callers see it"
        figures.append(_metric(view, view.metrics, index, span, words, origin_s=trial.windows.acknowledged or window.start_s))
    return tuple(figures)


def overview(view: RecordingView) -> tuple[tuple[Figure, ...], tuple[str, ...], int]:
    """Metrics over the whole recording: plots of those that vary, the constant ones in words, and how many were left out."""
    if view.metrics is None:
        return (), (), 0
    span = Interval(view.span.start_s, _end(view))
    level = {index: _level(view.metrics, index) for index in range(len(view.metrics.columns))}
    varying = [index for index, value in level.items() if value is None]
    still = tuple(f"{shown(view.metrics.columns[index].name, 60)} {value}" for index, value in level.items() if value is not None)
    plots = tuple(_metric(view, view.metrics, index, span, "", origin_s=view.span.start_s) for index in varying[:OVERVIEW_PLOTS])
    return plots, still, len(varying) - len(plots)


def _level(metrics: MetricHistory, index: int) -> str | None:
    """The one value that column *index* has all the time, in words; None when it varies."""
    values = metrics.values[metrics.valid[:, index], index]
    if not values.size:
        return "never measured"
    return f"= {label(float(values[0]), metrics.columns[index].unit)}" if (values == values[0]).all() else None


def _metric(view: RecordingView, metrics: MetricHistory, index: int, span: Interval, words: str, *, origin_s: float) -> Figure:
    column = metrics.columns[index]
    rows = slice(*np.searchsorted(metrics.time_s, (span.start_s, np.nextafter(span.end_s, np.inf))))
    seen = np.where(metrics.valid[rows, index], metrics.values[rows, index], np.nan).astype(np.float64)
    finite = seen[np.isfinite(seen)]
    name = shown(column.name, 60)
    told = (
        f"Between {number(float(finite.min()))} and {number(float(finite.max()))} {shown(column.unit, 20)}"
        if finite.size
        else "Nothing was measured"
    )
    plot = Plot(
        key=f"metric {view.name} {column.name} {span.start_s}",
        title=f"{name}, recording {shown(view.name)}",
        description=f"{told}, over {seconds(span.length_s)}.",
        start_s=span.start_s,
        end_s=span.end_s,
        origin_s=origin_s,
        height=64 if words else 52,
        scale=linear(seen, column.unit),
        lines=(Line(metrics.time_s[rows], seen),),
        bands=bands(trial for trial in view.trials if window_of(trial).overlaps(span)),
        buckets=200,
        ticks=4,
    )
    return Figure(name, draw(plot), (("none", words),) if words else ())


def score(view: RecordingView, history: ScoreHistory) -> Figure:
    """A detector's score over a recording, its threshold, its alarms in the strip below, fault windows behind."""
    finite = history.score[np.isfinite(history.score)]
    name = shown(history.detector, 60)
    top = f"largest score {number(float(finite.max()))}" if finite.size else "no row has a score"
    limit = "no threshold" if history.threshold is None else f"threshold {number(history.threshold)}"
    plot = Plot(
        key=f"score {view.name} {history.detector}",
        title=f"Score of {name}, recording {shown(view.name)}",
        description=f"{top}, {limit}, {len(history.alarms)} alarms.",
        start_s=view.span.start_s,
        end_s=_end(view),
        height=64,
        scale=compressed(history.score, history.threshold),
        lines=(Line(history.time_s, history.score),),
        bands=bands(view.trials),
        lane=tuple(
            Band(
                alarm.start_s,
                alarm.end_s,
                "alarm",
                f"alarm at {seconds(alarm.start_s - view.span.start_s)}, {seconds(alarm.length_s)} long",
            )
            for alarm in history.alarms
        ),
        rule=history.threshold,
        buckets=480,
        ticks=8,
    )
    return Figure(name, draw(plot))
