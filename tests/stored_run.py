"""
A complete small run in a store, without a shop: made-up measurements, everything behind them computed by the real stages.

The document is a shipped one, so every command that starts from a run, and every document that finds its recordings, works on it.
"""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from flows.document import load_document
from flows.records import RunRecord, numbers_of
from flows.stages import Stages
from tasks.artifacts.jobs import Compute, Job, make
from tasks.artifacts.runs import Runs
from tasks.artifacts.store import Store
from tasks.base.files import write_atomically, write_json
from tasks.base.intervals import Interval
from tasks.base.shipped import shipped
from tasks.base.trials import Trial, Windows
from tasks.faults.schedule import PlannedTrial
from tasks.load.history import read_history
from tasks.recordings import finish
from tasks.recordings.config import RecordingEntry
from tasks.recordings.evidence import Scene, callers_of
from tasks.recordings.judging import grace_of, judged
from tasks.recordings.labels import write_labels
from tasks.recordings.length import measured_s
from tasks.recordings.planning import planned_trials
from tasks.recordings.settings import RecordingSettings
from tasks.recordings.settling import judging_features
from tasks.stages import evaluate, featurize, rank, report, score, train
from tasks.telemetry.certificate import certify
from tasks.telemetry.samples import read_samples, read_series
from tests.synthetic_shop import Shop, Span, write_load, write_logs, write_samples

START_S = 1_790_000_000.0
BETWEEN_S = 600.0
"""Wall time from the start of one recording to that of the next."""
TAIL_S = 2.0
DEGRADED = frozenset({12, 13})
"""Seconds of the training recording in which the machine had other work."""


def stored_run(root: Path, document: Path | None = None) -> Store:
    """
    A store at *root* that holds one complete run of *document* (the shipped ``quick.yaml`` without one).

    The recording of faults has one gap, inside a fault; the one of training has two degraded seconds.
    """
    root.mkdir(mode=0o700, parents=True)
    write_json(root / "store.json", {"format": "store/1", "created_s": START_S - 60})
    store = Store(root).create()
    experiment = load_document(document or shipped("quick.yaml"))
    record = RunRecord.begin(
        store,
        name=experiment.name,
        document=experiment.model_dump(mode="json"),
        profile=experiment.features.profile,
        extent="everything",
        parent=None,
        prefect={"flow_run": None, "server": None},
    )
    _all_stages(Stages(experiment, store.root), record)
    record.end("complete", 0, None, **numbers_of(store, record.body["artifacts"]))
    return store


def _all_stages(stages: Stages, record: RunRecord) -> None:
    def call(job: Job, compute: Compute) -> str:
        result = make(job, compute)
        record.add(result)
        return result.ref

    experiment = stages.experiment
    recordings = {
        entry.name: call(stages.record(entry), partial(_record, place=place)) for place, entry in enumerate(experiment.recordings)
    }
    matrices: dict[str, str] = {}
    for entry in sorted(experiment.recordings, key=lambda one: one.role != "training"):
        job = stages.featurize(entry, recordings[entry.name], next(iter(matrices.values()), None))
        matrices[entry.name] = call(job, featurize.compute)
    named = {f"recording:{name}": ref for name, ref in recordings.items()} | {f"matrix:{name}": ref for name, ref in matrices.items()}
    _judge(stages, call, matrices, named)


def _judge(stages: Stages, call: Callable[[Job, Compute], str], matrices: dict[str, str], named: dict[str, str]) -> None:
    learnt = {f"matrix:{name}": ref for name, ref in matrices.items() if stages.roles[name] == "training"}
    others = {f"matrix:{name}": ref for name, ref in matrices.items() if stages.roles[name] != "training"}
    models = {one.name: call(stages.train(one, learnt), train.compute) for one in stages.detectors}
    scored = {f"scores:{one.name}": call(stages.score(one, models[one.name], others), score.compute) for one in stages.detectors}
    evaluation = call(stages.evaluate({**named, **scored}), evaluate.compute)
    ranking = call(stages.rank({**named, "evaluation": evaluation}), rank.compute)
    call(stages.report({**named, **scored, "evaluation": evaluation, "ranking": ranking}), report.compute)


def _record(job: Job, _: Store, folder: Path, *, place: int) -> tuple[str, ...]:
    """Fill *folder* as the recorder does, with the measurements of a made-up shop."""
    settings = RecordingSettings.of_key(job.settings)
    entry, app = settings.entry, settings.resolved_app()
    start_s = START_S + place * BETWEEN_S + entry.warmup_s
    planned = planned_trials(settings, app)
    length_s = _length(entry, settings, planned)
    trials = [_walked(trial, start_s) for trial in planned]
    shop = Shop(app, trials, random.Random(f"{settings.seed} {entry.name}"))
    step_s = settings.telemetry.interval_s
    span = Span(start_s - entry.warmup_s, start_s + length_s + TAIL_S, step_s, _hole(trials, step_s))
    write_samples(folder, shop, span)
    degraded = frozenset(int(entry.warmup_s) + second for second in DEGRADED) if entry.role == "training" else frozenset[int]()
    write_load(folder / "load", shop, span, settings.resolved_journeys(), degraded)
    write_logs(folder, app, span)
    write_atomically(folder / "events.jsonl", "".join(_started(app.names, span.start_s)))
    _close(folder, settings, Interval(start_s, start_s + length_s), trials)
    return ()


def _length(entry: RecordingEntry, settings: RecordingSettings, planned: tuple[PlannedTrial, ...]) -> float:
    return planned[-1].end_s + planned[-1].quiet_s if planned else measured_s(entry, settings.faults)


def _walked(trial: PlannedTrial, start_s: float) -> Trial:
    begun, ended = start_s + trial.start_s, start_s + trial.end_s
    windows = Windows(requested=begun, acknowledged=begun + 0.05, revert_requested=ended, reverted=ended + 0.02)
    return Trial(trial.id, trial.kind, trial.target, trial.intensity, trial.placebo, trial.duration_s, windows)


def _hole(trials: list[Trial], step_s: float) -> tuple[float, float] | None:
    """Two scrapes are missing in the middle of the first real fault."""
    real = next((trial for trial in trials if not trial.placebo), None)
    if real is None:
        return None
    begin = real.windows.requested + 3 * step_s
    return begin, begin + 1.9 * step_s


def _started(services: tuple[str, ...], at_s: float) -> list[str]:
    return [json.dumps({"time_s": at_s, "kind": "started", "service": name, "pid": 100 + n}) + "\n" for n, name in enumerate(services)]


def _close(folder: Path, settings: RecordingSettings, span: Interval, trials: list[Trial]) -> None:
    """Judge the trials and write labels, ledgers and facts: what the recorder does at its end."""
    app, interval_s = settings.resolved_app(), settings.telemetry.interval_s
    features = judging_features(interval_s)
    series, samples, history = read_series(folder), read_samples(folder), read_history(folder / "load")
    certificate = certify(series, samples, interval_s=interval_s, span=(span.start_s, span.end_s))
    taken = finish.Taken(span, interval_s, series, samples, history, certificate, features)
    grace_s = grace_of(features.rate_window_s, features.grid_s)
    scene = Scene(taken.matrix(), series, samples, callers_of(app.edges), history)
    found = judged(scene, trials, grace_s, span.end_s)
    write_labels(folder, found)
    about = finish.Circumstances(
        name=settings.entry.name,
        role=settings.entry.role,
        seed=settings.seed,
        planned_s=measured_s(settings.entry, settings.faults),
        edges=app.edges,
        begun={"wall_s": span.start_s - settings.entry.warmup_s, "monotonic_s": 100.0},
        machine={"system": "made up", "architecture": "none", "processors": 2, "memory_bytes": 8 << 30, "boot_id": "made up"},
        versions={"tidegauge": "made up"},
        modules={},
        notes=("made up by a test",),
    )
    finish.write_ledgers(folder, taken, found, about, whole=finish.complete(taken.gaps, found, grace_s, False))


@lru_cache(maxsize=1)
def shared_run() -> Store:
    """One stored run for all tests of a session that only read; whoever changes anything takes :func:`copied_run`."""
    folder = tempfile.mkdtemp(prefix="tidegauge-stored-run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return stored_run(Path(folder) / "store")


def copied_run(root: Path) -> Store:
    """A store at *root* with a copy of the shared run."""
    source = shared_run()
    shutil.copytree(source.root, root)
    runs = Runs(Store(root))
    record = runs.read("latest")
    runs.write({**record, "report": record["report"].replace(str(source.root), str(Store(root).root))})
    return Store(root)
