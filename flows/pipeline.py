"""The order of the stages, and the record of what became of each. Prefect runs the stages; the store is the truth."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.tasks import Task

from flows.document import Experiment
from flows.records import RunRecord
from flows.stages import Stages
from tasks import evaluate, featurize, rank, record, report, score, train
from tasks.artifacts.jobs import Accept, Job, Result, anything, look_up, reason_cached
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.base.errors import PreflightError, StorageError
from tasks.base.stopping import stop_if_asked
from tasks.caching import drop_foreign_result
from tasks.recordings.config import RecordingEntry

StageTask = Task[[Job], dict[str, Any]]


def through_prefect(task: StageTask, job: Job, accept: Accept = anything) -> Result:
    """
    Let Prefect run *job*, and believe its ``Cached`` only when the store holds the artifact and every byte verifies.

    Raises:
        TidegaugeError: What the stage raised.
    """
    start = time.monotonic()
    store = job.open_store()
    found, why = look_up(store, job, accept)
    drop_foreign_result(job)
    chosen = task if found is not None else task.with_options(refresh_cache=True)
    state: State[Any] = chosen(job, return_state=True)
    result = Result.model_validate(state.result())
    if state.name == "Cached" and found is not None:
        return Result(stage=job.stage, ref=str(found), outcome="cached", why=reason_cached(store, found), seconds=time.monotonic() - start)
    return result if found is not None else result.model_copy(update={"why": why})


@dataclass(slots=True)
class Pipeline:
    """One run through the stages of *stages*; *record* is written after each."""

    stages: Stages
    record: RunRecord
    require_cached: bool = False
    refs: dict[str, str] = field(default_factory=dict)

    @property
    def experiment(self) -> Experiment:
        """The document."""
        return self.stages.experiment

    def _call(self, task: StageTask, job: Job, accept: Accept = anything) -> str:
        stop_if_asked()
        if self.require_cached and job.kind == "recording":
            found, why = look_up(job.open_store(), job, accept)
            if found is None:
                raise PreflightError(
                    f"{job.stage} would have to be recorded ({why}), and --require-cached forbids it",
                    next_step="run without --require-cached, or mend the setting that changed",
                )
        begun_s = time.time()
        try:
            result = through_prefect(task, job, accept)
        except BaseException:
            self._note_partial(job, begun_s)
            raise
        self.refs[job.stage] = result.ref
        self.record.add(result)
        return result.ref

    def _note_partial(self, job: Job, begun_s: float) -> None:
        """A recording that was cut short is kept as incomplete: the record names it, so that it is found and not swept away."""
        store = job.open_store()
        for ref in store.refs() if job.kind == "recording" else ():
            if store.problems(ref, read_data=False):
                continue
            manifest = store.open(ref).manifest
            if manifest["key"] == job.key and manifest["created_s"] >= begun_s:
                why, seconds = "; ".join(manifest["notes"]), time.time() - begun_s
                self.record.add(Result(stage=job.stage, ref=str(ref), outcome="ran", why=f"cut short: {why}", seconds=seconds))

    def recordings(self, names: frozenset[str] | None = None) -> dict[str, str]:
        """Record what is not recorded yet, take what is imported; reference by recording name."""
        wanted = [entry for entry in self.experiment.recordings if names is None or entry.name in names]
        return {entry.name: self._recorded(entry) for entry in wanted}

    def _recorded(self, entry: RecordingEntry) -> str:
        if entry.imported is not None:
            return self._take(entry.name, entry.imported, "imported before")
        return self._call(record.record, self.stages.record(entry), record.acceptance(entry))

    def _take(self, name: str, ref: str, why: str) -> str:
        store = Store(self.stages.store)
        if problems := store.problems(Ref.parse(ref)):
            raise StorageError(f"recording {name} is damaged: {problems[0]}", next_step=made_anew(name, name in self.experiment.imported))
        self.refs[f"record:{name}"] = ref
        self.record.add(Result(stage=f"record:{name}", ref=ref, outcome="cached", why=why, seconds=0.0))
        return ref

    def matrices(self, recordings: Mapping[str, str]) -> dict[str, str]:
        """A matrix a recording; the first training recording decides which columns there are."""
        entries = sorted(self._present(recordings), key=lambda entry: entry.role != "training")
        made: dict[str, str] = {}
        for entry in entries:
            columns = next(iter(made.values()), None)
            made[entry.name] = self._call(featurize.featurize, self.stages.featurize(entry, recordings[entry.name], columns))
        return made

    def _present(self, recordings: Mapping[str, str]) -> list[RecordingEntry]:
        return [entry for entry in self.experiment.recordings if entry.name in recordings]

    def models(self, matrices: Mapping[str, str]) -> dict[str, str]:
        """A fitted detector each, trained on the training matrices alone."""
        inputs = {f"matrix:{name}": ref for name, ref in matrices.items() if self.stages.roles[name] == "training"}
        return {detector.name: self._call(train.train, self.stages.train(detector, inputs)) for detector in self.stages.detectors}

    def scores(self, models: Mapping[str, str], matrices: Mapping[str, str]) -> dict[str, str]:
        """Scores of each detector on every recording that it was not trained on; written before any threshold."""
        inputs = {f"matrix:{name}": ref for name, ref in matrices.items() if self.stages.roles[name] != "training"}
        return {
            detector.name: self._call(score.score, self.stages.score(detector, models[detector.name], inputs))
            for detector in self.stages.detectors
        }

    def judge(self, recordings: Mapping[str, str], matrices: Mapping[str, str], scores: Mapping[str, str]) -> None:
        """Evaluation, ranking and the report."""
        named = {f"recording:{name}": ref for name, ref in recordings.items()} | {f"matrix:{name}": ref for name, ref in matrices.items()}
        scored = {f"scores:{name}": ref for name, ref in scores.items()}
        evaluation = self._call(evaluate.evaluate, self.stages.evaluate({**named, **scored}))
        ranking = self._call(rank.rank, self.stages.rank({**named, "evaluation": evaluation}))
        self._call(report.report, self.stages.report({**named, **scored, "evaluation": evaluation, "ranking": ranking}))

    def run(self, *, evaluate_too: bool) -> None:
        """All stages in order; without *evaluate_too* it ends with the fitted detectors."""
        recordings = self.recordings()
        matrices = self.matrices(recordings)
        models = self.models(matrices)
        if evaluate_too:
            self.judge(recordings, matrices, self.scores(models, matrices))

    def judge_again(self, recordings: Mapping[str, str]) -> None:
        """
        Everything behind the recordings, which are taken as they are: nothing touches the shop.

        Raises:
            StorageError: One of them is damaged; nothing is computed from it, and nothing that was is shown.
        """
        for name, ref in recordings.items():
            self._take(name, ref, f"taken as run {self.record.body['parent']} has it")
        matrices = self.matrices(recordings)
        models = self.models(matrices)
        self.judge(recordings, matrices, self.scores(models, matrices))


def made_anew(recording: str, imported: bool) -> str:
    """What to type for a *recording* that is damaged."""
    return "tidegauge import ... --refresh, as it was imported" if imported else f"tidegauge run FILE --refresh recording:{recording}"


def artifact_file(store: Store, ref: str, name: str) -> Path:
    """The path of file *name* of the artifact *ref*."""
    return store.open(Ref.parse(ref)).file(name)
