"""Stage *evaluate*: thresholds from the calibration recording, alarms, and every figure of the tables."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.artifacts.jobs import Job
from tasks.artifacts.store import Store
from tasks.base.files import read_json, write_json
from tasks.base.parquet import read_table
from tasks.base.trials import Outcome, Trial
from tasks.evaluation.alarms import alarms
from tasks.evaluation.benign import benign_line
from tasks.evaluation.comparison import differing
from tasks.evaluation.config import EvaluationConfig, grace_s
from tasks.evaluation.laid import Laid
from tasks.evaluation.leakage import leakage
from tasks.evaluation.load_change import PlannedUsers, rows_of_change
from tasks.evaluation.power import apart
from tasks.evaluation.pretended import aa_line
from tasks.evaluation.requirement import shortfall
from tasks.evaluation.table import Evaluation, ScoredDetector
from tasks.evaluation.table import evaluate as evaluate_all
from tasks.evaluation.thresholds import Calibration, Threshold
from tasks.evaluation.truth import Truth
from tasks.faults.witness import BY_CHANCE
from tasks.features import matrix as matrices
from tasks.features.config import FeaturesConfig
from tasks.stages.featurize import degraded_of, require_rows

Floats = NDArray[np.float64]
FLOOR = "floor"
LOAD = "load/seconds.parquet"
"""What a recording keeps of its load, a row a second."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that detectors are judged on: the recordings, laid end to end where there are several of a role."""

    job: Job
    store: Store
    settings: EvaluationConfig
    features: FeaturesConfig

    def names(self, *roles: str) -> list[str]:
        """Recordings of *roles*, in the order in which they were made: one that was reused may be older than its neighbour."""
        roles_of = self.job.settings["roles"].items()
        named = [name for name, role in roles_of if role in roles and f"recording:{name}" in self.job.inputs]
        return sorted(named, key=lambda name: float(self.matrix(name).time_s[0]))

    def matrix(self, name: str) -> matrices.Matrix:
        """The matrix of a recording."""
        return matrices.load(self.store.open(self.job.ref(f"matrix:{name}")).folder)

    def scores(self, detector: str, names: list[str]) -> list[Floats]:
        """Scores of *detector* on each recording; NaN: no score."""
        folder = self.store.open(self.job.ref(f"scores:{detector}"))
        return [np.asarray(read_table(folder.file(f"{name}.parquet")).column("score").to_numpy()) for name in names]

    def degraded(self, name: str) -> NDArray[np.bool_]:
        """Degraded rows of a recording."""
        return degraded_of(self.store, self.job, f"matrix:{name}")

    def calibration_scores(self, detector: str) -> Floats:
        """Scores on the calibration recordings; degraded rows have none."""
        names = self.names("calibration")
        scored = zip(names, self.scores(detector, names), strict=True)
        found = np.concatenate([np.where(self.degraded(name), np.nan, values) for name, values in scored])
        usable = int(np.isfinite(found).sum())
        require_rows(self.store, self.job, [f"matrix:{name}" for name in names], usable, "calibration")
        return found

    def calibration(self) -> Calibration:
        """How thresholds are set."""
        return Calibration(
            budget_per_day=self.settings.false_alarms_per_day,
            rate_window_s=self.features.rate_window_s,
            persistence_s=self.settings.persistence_s(self.features.grid_s),
            step_s=self.features.grid_s,
        )

    def truth(self, laid: Laid) -> Truth:
        """What happened in the recordings of *laid*; between two lie rows without a score, so that no alarm spans both."""
        bad, trials = [], []
        for name, rows in laid.rows.items():
            bad.append(np.concatenate([self.degraded(name)[:rows], np.ones(self.pad, dtype=np.bool_)]))
            trials += [bounded(trial, laid.last_s[name]) for trial in self.trials(name)]
        grace = grace_s(self.features.rate_window_s, self.features.grid_s)
        changing = rows_of_change(laid.time_s, [self.planned_users(name) for name in laid.rows], grace)
        asked = self.settings.also_events
        return Truth.of(laid.time_s, trials, grace_s=grace, degraded=np.concatenate(bad), load_changing=changing, also_events=asked)

    def laid(self, names: list[str]) -> Laid:
        """The rows of the recordings *names*, in the order of their times, end to end."""
        return Laid.of({name: self.matrix(name).time_s for name in names}, self.pad, self.features.grid_s)

    def trials(self, name: str) -> list[Trial]:
        """The trials of a recording, judged; those of an imported one as its labels tell them."""
        recording = self.store.open(self.job.ref(f"recording:{name}"))
        found = [Trial.from_json(item) for item in read_json(recording.file("faults.json"))]
        told = "imported" in read_json(recording.file("recording.json"))
        return [forgotten(trial, self.features.rate_window_s) for trial in found] if told else found

    def planned_users(self, name: str) -> PlannedUsers | None:
        """The load that a recording was under; None where nobody kept it, as with an imported one."""
        recording = self.store.open(self.job.ref(f"recording:{name}"))
        if LOAD not in recording.manifest["files"]:
            return None
        table = read_table(recording.file(LOAD), ["second", "users_planned"])
        second, users = (np.asarray(table.column(column).to_numpy()) for column in ("second", "users_planned"))
        return PlannedUsers(second, users)

    @property
    def pad(self) -> int:
        """Rows without a score after each recording."""
        return self.settings.close_after

    def scored(self, detector: str, family: str, laid: Laid) -> ScoredDetector:
        """What *detector* said of the calibration and of the recordings of *laid*."""
        return ScoredDetector(detector, family, self.calibration_scores(detector), self.tested(detector, laid))

    def tested(self, detector: str, laid: Laid) -> Floats:
        """Scores on the rows of *laid*."""
        found = zip(self.scores(detector, list(laid.rows)), laid.rows.values(), strict=True)
        return np.concatenate([np.concatenate([values[:rows], np.full(self.pad, np.nan)]) for values, rows in found])


def forgotten(trial: Trial, window_s: float) -> Trial:
    """
    *trial* with a return to normal that nobody measured put off by *window_s*.

    A label tells when a fault was over; what is taken over a rate window shows it for one window longer.
    """
    windows = trial.windows
    if windows.back_to_normal is None or windows.reverted is None or windows.back_to_normal > windows.reverted:
        return trial
    return replace(trial, windows=replace(windows, back_to_normal=windows.reverted + window_s))


def bounded(trial: Trial, end_s: float) -> Trial:
    """*trial*, a fault that was never seen back to normal reaching to the end of its own recording and no further."""
    if trial.placebo or trial.outcome is Outcome.NOT_INJECTED or trial.windows.back_to_normal is not None:
        return trial
    return replace(trial, windows=replace(trial.windows, back_to_normal=max(end_s, trial.windows.requested)))


def compute(job: Job, store: Store, folder: Path) -> None:
    """Write ``evaluation.json``: ``detectors`` (the public rows), ``results`` (all that is known), ``alarms``, ``power``, ``leakage``."""
    settings = EvaluationConfig.model_validate_json(_text(job.settings["evaluation"]))
    bench = Bench(job, store, settings, FeaturesConfig.model_validate(job.settings["features"]))
    names = bench.names("faults", "hold-out")
    laid, calibration = bench.laid(names), bench.calibration()
    truth = bench.truth(laid)
    scored = [bench.scored(item["name"], item["family"], laid) for item in job.settings["detectors"]]
    table = evaluate_all(scored, truth, settings, calibration, seed=job.settings["seed"])
    raised = {one.name: alarms_of(bench, one.name, calibration.threshold(one.calibration)) for one in scored}
    write_json(folder / "evaluation.json", document(bench, truth, table, raised, names))


def alarms_of(bench: Bench, detector: str, threshold: Threshold) -> dict[str, list[list[float]]]:
    """Open and close of each alarm, by recording."""
    found: dict[str, list[list[float]]] = {}
    names = bench.names("calibration", "faults", "hold-out")
    for name, values in zip(names, bench.scores(detector, names), strict=True):
        times = matrices.load(bench.store.open(bench.job.ref(f"matrix:{name}")).folder).time_s
        made = alarms(times, values, threshold.value, persistence=bench.settings.persistence, close_after=bench.settings.close_after)
        found[name] = [[alarm.open_s, alarm.close_s] for alarm in made]
    return found


def document(
    bench: Bench, truth: Truth, table: Evaluation, raised: dict[str, dict[str, list[list[float]]]], names: list[str]
) -> dict[str, Any]:
    """The evaluation as JSON."""
    results, leaked = table.results, leaks(bench, names)
    return {
        "format": "evaluation/1",
        "detectors": [row.public_row() for row in results],
        "results": [row.to_json() for row in results],
        "alarms": raised,
        "power": table.power.to_json(),
        "pairs": [pair.to_json() for pair in table.pairs],
        "leakage": leaked,
        "shortfall": shortfall(results, bench.settings.require),
        "notes": notes(bench, table, leaked),
        "spans": [[span.start_s, span.end_s] for span in truth.fault_spans()],
        "changes": {trial.id: [span.start_s, span.end_s] for trial in truth.changes for span in (truth.change_span(trial),)},
        "grace_s": truth.grace_s,
        "budget_per_day": bench.settings.false_alarms_per_day,
    }


def leaks(bench: Bench, names: list[str]) -> dict[str, Any] | None:
    """Whether placebos can be told from quiet rows of the first recording that has any; None without placebos."""
    for name in names:
        if any(trial.placebo for trial in bench.trials(name)):
            matrix = matrices.load(bench.store.open(bench.job.ref(f"matrix:{name}")).folder)
            truth = Truth.of(
                matrix.time_s,
                bench.trials(name),
                grace_s=grace_s(bench.features.rate_window_s, bench.features.grid_s),
                degraded=bench.degraded(name),
            )
            return leakage(matrix.values.astype(np.float64), matrix.names, truth).to_json()
    return None


def notes(bench: Bench, table: Evaluation, leaked: dict[str, Any] | None) -> list[str]:
    """Sentences that stand under the table."""
    lines = [table.power.line, *differing(table.pairs)]
    unsupported = [row for row in table.results if row.budget_supported is False and row.family != FLOOR]
    if unsupported:
        bound = unsupported[0].false_alarm_bound_per_day
        lines.append(
            f"the calibration is too short for {bench.settings.false_alarms_per_day:g} false alarms a day: thresholds are its largest "
            f"scores, and it can bound the rate at {'-' if bound is None else f'{bound:.0f}'} a day (95 %)"
        )
    lines += apart(table.results)
    if (told := benign_line(table.results)) is not None:
        lines.append(told)
    lines += [line for name in bench.names("hold-out") if (line := pretended(bench, table, name)) is not None]
    if leaked is not None and leaked["auc"] is not None:
        lines.append(f"placebo rows against quiet rows: AUC {leaked['auc']:.2f} over {leaked['placebos']} placebos (chance .50)")
    if (chance := by_chance([trial for name in bench.names("faults", "hold-out") for trial in bench.trials(name)])) is not None:
        lines.append(chance)
    lines.append(f"profile {bench.features.profile}: windows of the detectors and of the ranking")
    return lines


def by_chance(trials: Iterable[Trial]) -> str | None:
    """How far *impact* can be trusted: how many placebos it would have been said of; None where none was, or there are none."""
    notes = [trial.note for trial in trials if trial.placebo]
    moved = sum(BY_CHANCE in note for note in notes)
    return f"{moved} of {len(notes)} placebos would have counted as impact by the same rule" if moved else None


def pretended(bench: Bench, table: Evaluation, name: str) -> str | None:
    """The A/A check on the fault-free recording *name*; None where it is too short for pretended windows, or has faults."""
    if bench.trials(name):
        return None
    laid, seed = bench.laid([name]), bench.job.settings["seed"]
    scored = [bench.scored(row.name, row.family, laid) for row in table.results]
    return aa_line(name, scored, bench.truth(laid), bench.settings, bench.calibration(), seed=seed)


def _text(value: Any) -> str:
    import json

    return json.dumps(value)
