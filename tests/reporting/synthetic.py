"""A made-up run that looks like a real one: three recordings, eight trials, eleven detectors. Every figure comes from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.base.files import sha256_text
from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.reporting.model import (
    Command,
    Contribution,
    Degraded,
    EventResult,
    FalseAlarm,
    Gap,
    LoadHistory,
    MetricColumn,
    MetricHistory,
    Note,
    RecordingView,
    ReportData,
    ScoreHistory,
)
from tests.reporting.synthetic_run import detector_row, lineage, run_object

START_S = 1_790_000_000.0
EDGES = (
    ("front-end", "catalogue"),
    ("front-end", "carts"),
    ("front-end", "orders"),
    ("front-end", "user"),
    ("orders", "payment"),
    ("orders", "shipping"),
)
KINDS = (
    ("cpu_squeeze", "orders", 0.9, False),
    ("latency", "catalogue", 0.5, False),
    ("cpu_hog", "carts", 0.7, True),
    ("http_errors", "payment", 0.3, False),
    ("pause", "user", 1.0, False),
    ("memory_leak", "shipping", 0.6, False),
    ("latency", "payment", 0.4, True),
    ("crash", "carts", 1.0, False),
)
WITNESS = {
    "cpu_squeeze": "cpu_cores",
    "cpu_hog": "cpu_cores",
    "latency": "latency_p95_s",
    "http_errors": "error_ratio",
    "pause": "up",
    "memory_leak": "memory_working_set_bytes",
    "crash": "restarts",
}
METRICS = (
    ("latency_p95_s", "s", 0.02),
    ("error_ratio", "ratio", 0.0),
    ("cpu_cores", "cores", 0.08),
    ("memory_working_set_bytes", "bytes", 4.2e7),
    ("up", "", 1.0),
    ("restarts", "", 0.0),
)
SERVICES = ("front-end", "catalogue", "carts", "orders", "user", "payment", "shipping", "queue-master")
DETECTORS = (
    ("robust_z", "distance", 1.0),
    ("ewma", "residual", 0.8),
    ("pca_spe", "subspace", 0.9),
    ("pca_t2", "subspace", 0.45),
    ("mahalanobis", "distance", 0.85),
    ("kmeans", "clustering", 0.7),
    ("isolation_forest", "trees", 0.3),
    ("ocsvm", "boundary", 0.5),
    ("random", "floor", 0.0),
    ("norm", "floor", 0.4),
    ("constant", "floor", 0.0),
)


@dataclass
class Maker:
    """Draws the run from one generator, so that the same seed gives the same data."""

    rng: np.random.Generator

    def trials(self, start_s: float) -> tuple[Trial, ...]:
        """Eight trials, two of them placebos, one without impact."""
        found, at = [], start_s + 30
        for number, (kind, target, intensity, placebo) in enumerate(KINDS, 1):
            ack = at + float(self.rng.uniform(0.05, 0.4))
            effect = None if placebo else ack + float(self.rng.uniform(0.5, 2.5))
            windows = Windows(
                at, ack, effect, ack + 8, ack + 8 + float(self.rng.uniform(0.02, 0.3)), ack + 10 + float(self.rng.uniform(0.5, 5))
            )
            outcome = None if placebo else Outcome.INJECTED_NO_IMPACT if kind == "memory_leak" else Outcome.IMPACT
            found.append(Trial(f"t{number:02d}", kind, target, intensity, placebo, 8.0, windows, outcome, f"{target}/{WITNESS[kind]}"))
            at += 8 + float(self.rng.uniform(15, 19))
        return tuple(found)

    def hurt(self, time_s: np.ndarray, trials: tuple[Trial, ...], target: str | None = None) -> np.ndarray:
        """How much a fault weighs on each moment, 0-1, real faults only."""
        weight = np.zeros(time_s.size)
        for trial in trials:
            if trial.placebo or (target is not None and trial.target != target):
                continue
            inside = (time_s >= (trial.windows.first_effect or 0)) & (time_s <= (trial.windows.reverted or 0) + 1)
            weight[inside] = trial.intensity
        return weight

    def load(self, span: Interval, trials: tuple[Trial, ...]) -> LoadHistory:
        """A constant shape with noise, errors and slow requests inside faults."""
        second = np.arange(span.start_s, span.end_s)
        weight, noise = self.hurt(second, trials), lambda width: self.rng.normal(0, width, second.size)
        users = np.minimum(20.0, (second - span.start_s + 1) * 4)
        done = users * 0.5 * (1 - 0.5 * weight) + noise(0.4)
        send = 0.045 + np.abs(noise(0.006)) + 0.4 * weight
        return LoadHistory(
            second,
            np.full(second.size, 20.0),
            users,
            np.full(second.size, 10.0),
            done,
            done * 9 + noise(3),
            np.clip(0.12 * weight + noise(0.004), 0, 1),
            send,
            send + 1.8 * weight,
        )

    def metrics(self, span: Interval, trials: tuple[Trial, ...]) -> MetricHistory:
        """All services' metrics each second; a fault moves its target and, less, the callers."""
        time_s = np.arange(span.start_s, span.end_s)
        columns, series = [], []
        for service in SERVICES:
            own = self.hurt(time_s, trials, service)
            called = sum((self.hurt(time_s, trials, callee) for caller, callee in EDGES if caller == service), np.zeros(time_s.size))
            for metric, unit, level in METRICS:
                columns.append(MetricColumn(f"{service}/{metric}", service, metric, unit))
                base = (
                    level * (1 + 0.12 * self.rng.normal(0, 1, time_s.size))
                    if metric not in {"up", "restarts"}
                    else np.full(time_s.size, level)
                )
                move = {
                    "latency_p95_s": 0.4 * called + 0.2 * own,
                    "error_ratio": 0.2 * called + 0.3 * own,
                    "cpu_cores": 0.5 * own,
                    "memory_working_set_bytes": 2e7 * own,
                    "up": -1.0 * (own > 0.95),
                }
                series.append(np.maximum(base + move.get(metric, 0.0), 0.0))
        values = np.column_stack(series).astype(np.float32)
        valid = np.ones(values.shape, bool)
        valid[70:76, ::7] = False
        return MetricHistory(time_s, tuple(columns), values, valid)


def report_data(seed: int = 7, trials_from: float = START_S) -> ReportData:
    """The whole run."""
    maker = Maker(np.random.default_rng(seed))
    views, at = [], trials_from
    for name, role, length in (("training", "training", 60.0), ("calibration", "calibration", 45.0), ("faults", "faults", 250.0)):
        span = Interval(at, at + length)
        trials = maker.trials(at) if role == "faults" else ()
        flaws = (Degraded(at + 108, at + 110, "generator at 96 % of a core"),) if trials else ()
        gaps = (Gap("carts", at + 207.0, at + 211.0, "inside the window of trial t08"),) if trials else ()
        views.append(
            RecordingView(
                name,
                role,
                span,
                trials,
                maker.load(span, trials),
                maker.metrics(span, trials),
                gaps,
                flaws,
                "complete, recorded by this run",
            )
        )
        at += length + 12
    faults = views[-1]
    scores, events, alarms, rows = [], [], [], []
    for name, family, power in DETECTORS:
        history, found, false = _detector(maker, name, power, faults)
        scores += [history, _calibration(maker, name, history, views[1])]
        events += found
        alarms += false
        rows.append(detector_row(name, family, faults.trials, found, false))
    digests = {
        name: sha256_text(name) for name in ("training", "calibration", "faults", "matrix", "models", "scores", "evaluation", "ranking")
    }
    return ReportData(
        run=run_object(rows, views),
        name="demo",
        recordings=tuple(views),
        scores=tuple(scores),
        events=tuple(events),
        false_alarms=tuple(alarms),
        lineage=lineage(digests),
        sources={
            "detectors": digests["evaluation"],
            "events": digests["evaluation"],
            "ranking": digests["ranking"],
            **{f"recording:{view.name}": digests[view.name] for view in views},
            **{f"matrix:{view.name}": digests["matrix"] for view in views},
            **{f"scores:{name}": digests["scores"] for name, _, _ in DETECTORS},
        },
        notes=(
            Note(
                "The calibration recording is 45 s long: it cannot support a budget of 24 false alarms a day, and says so in the table.",
                "warning",
            ),
            Note("3 degraded seconds of recording faults are scored apart."),
        ),
        power="5 impact events; recall 4/5 has interval .28-.99; this run cannot rank detectors.",
        budget_per_day=24.0,
        edges=EDGES,
        seed=7,
        versions={"tidegauge": "0.1.0", "numpy": "2.4.6", "scikit-learn": "1.8.0", "python": "3.11.9"},
        machine={"processors": "2", "memory": "8.2 GB", "kernel": "Linux 6.1"},
        commands=(
            Command("tidegauge evaluate --run latest", "Evaluate again from what was recorded"),
            Command("tidegauge run configs/demo.yaml", "Record everything anew"),
        ),
        document="version: 1\nname: demo\nseed: 7\ncluster: {provider: local}\n",
    )


def _detector(maker: Maker, name: str, power: float, view: RecordingView) -> tuple[ScoreHistory, list[EventResult], list[FalseAlarm]]:
    assert view.metrics is not None
    time_s = view.metrics.time_s
    weight = maker.hurt(time_s, view.trials)
    score = np.abs(maker.rng.normal(1.5, 0.5, time_s.size)) + power * 40 * weight**2
    score = np.zeros(time_s.size) if name == "constant" else score
    score[:2] = np.nan
    threshold = {"constant": 0.0, "pca_t2": 2.4, "isolation_forest": 2.2, "norm": 2.3, "random": 2.2}.get(name, 3.4)
    over, open_s, spans, quiet = score > threshold, None, [], 0
    for row in range(2, time_s.size):
        if open_s is None and over[row - 2 : row + 1].sum() >= 2:
            open_s, quiet = float(time_s[row]), 0
        elif open_s is not None:
            quiet = 0 if over[row] else quiet + 1
            if quiet == 5:
                spans.append(Interval(open_s, float(time_s[row])))
                open_s = None
    found, used = [], set()
    for trial in view.trials:
        window = (trial.windows.acknowledged or 0, (trial.windows.reverted or 0) + 7)
        hit = next((span for span in spans if window[0] <= span.start_s <= window[1]), None)
        used |= {hit} if hit and not trial.placebo else set()
        if trial.outcome is Outcome.INJECTED_NO_IMPACT:
            found.append(EventResult(name, trial.id, "not-counted", reason="it hurt no user"))
        elif hit:
            found.append(EventResult(name, trial.id, "detected", hit.start_s - window[0]))
        else:
            found.append(EventResult(name, trial.id, "missed", reason="the score stayed below the threshold"))
    false = [
        FalseAlarm(
            name, view.name, span.start_s, span.end_s, (Contribution("carts/latency_p95_s", 0.61), Contribution("orders/cpu_cores", 0.2))
        )
        for span in spans
        if span not in used
    ]
    return ScoreHistory(name, view.name, time_s, score, threshold, tuple(spans)), found, false


def _calibration(maker: Maker, name: str, history: ScoreHistory, view: RecordingView) -> ScoreHistory:
    assert view.metrics is not None
    time_s = view.metrics.time_s
    return ScoreHistory(name, view.name, time_s, np.abs(maker.rng.normal(1.5, 0.5, time_s.size)), history.threshold)
