"""Which jobs an experiment is made of: pure, so that a plan, a cache look-up and a run agree on every key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.document import Experiment
from tasks.artifacts.jobs import Job, computed
from tasks.base.errors import DocumentError
from tasks.base.files import sha256_file
from tasks.base.mistakes import nearest
from tasks.detectors.registry import FLOORS, descriptions, settings_of
from tasks.features.catalogue import catalogue_path
from tasks.recordings.config import RecordingEntry
from tasks.recordings.settings import recording_settings

CODE = {
    "featurize": ("tasks.stages.featurize", "tasks.features"),
    "train": ("tasks.stages.train", "tasks.detectors", "tasks.features.prepare"),
    "score": ("tasks.stages.score", "tasks.detectors", "tasks.features.prepare"),
    "evaluate": ("tasks.stages.evaluate", "tasks.evaluation"),
    "rank": ("tasks.stages.rank", "tasks.rootcause"),
    "report": ("tasks.stages.report", "tasks.reporting"),
}
"""Modules behind each computed stage; what they import is followed."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Makes the jobs of one experiment for one store; *refresh* names stages to make anew."""

    experiment: Experiment
    store: Path
    run: str = ""
    refresh: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """
        Refuse to make anew what this experiment does not have.

        Raises:
            DocumentError: A name in *refresh* is that of no stage.
        """
        known = self.names()
        for name in sorted(self.refresh - known):
            raise DocumentError(
                f"there is no stage {name!r} to make anew{nearest(name, known)}", next_step=f"one of {', '.join(sorted(known))}"
            )

    def names(self) -> set[str]:
        """What ``--refresh`` may name: a stage, or a group of them."""
        made = [entry.name for entry in self.experiment.recorded]
        parts = {"record": made, "recording": made, "featurize": list(self.roles)}
        learnt = [detector.name for detector in self.detectors]
        groups = {**parts, "train": learnt, "score": learnt}
        return {*groups, *(f"{group}:{name}" for group, names in groups.items() for name in names), "evaluate", "rank", "report"}

    def _common(self, stage: str, kind: str) -> dict[str, Any]:
        wanted = {stage, stage.partition(":")[0], stage.replace("record:", "recording:")}
        return {"store": str(self.store), "stage": stage, "kind": kind, "run": self.run, "refresh": bool(wanted & self.refresh)}

    def record(self, entry: RecordingEntry) -> Job:
        """Record one deployment. Its key holds no code: a measurement is not undone by a change of the program."""
        document = self.experiment
        settings = recording_settings(
            cluster=document.cluster,
            app=document.app,
            load=document.traffic(),
            telemetry=document.telemetry,
            entry=entry,
            faults=document.faults if entry.role == "faults" else None,
            seed=document.seed,
        )
        return Job(**self._common(f"record:{entry.name}", "recording"), settings=settings)

    def featurize(self, entry: RecordingEntry, recording: str, columns: str | None) -> Job:
        """Samples to matrix; *columns* is the training matrix that fixes which columns there are."""
        inputs = {"recording": recording} | ({} if columns is None else {"columns": columns})
        return computed(CODE["featurize"], **self._common(f"featurize:{entry.name}", "matrix"), inputs=inputs, settings=self._features())

    def train(self, detector: Any, matrices: Mapping[str, str]) -> Job:
        """Fit one detector on the training matrices."""
        settings = {"detector": detector.model_dump(mode="json"), "seed": self.experiment.seed, **self._features()}
        return computed(CODE["train"], **self._common(f"train:{detector.name}", "model"), inputs=dict(matrices), settings=settings)

    def score(self, detector: Any, model: str, matrices: Mapping[str, str]) -> Job:
        """Score every other recording with a fitted detector."""
        inputs = {"model": model, **matrices}
        return computed(CODE["score"], **self._common(f"score:{detector.name}", "scores"), inputs=inputs, settings=self._features())

    def evaluate(self, inputs: Mapping[str, str]) -> Job:
        """Thresholds, alarms, and every figure of the tables."""
        families = {one.name: one.family for one in descriptions()}
        settings = {
            "evaluation": self.experiment.evaluation.model_dump(mode="json"),
            "detectors": [{"name": detector.name, "family": families[detector.name]} for detector in self.detectors],
            "roles": self.roles,
            "seed": self.experiment.seed,
            **self._features(),
        }
        return computed(CODE["evaluate"], **self._common("evaluate", "evaluation"), inputs=dict(inputs), settings=settings)

    def rank(self, inputs: Mapping[str, str]) -> Job:
        """Root causes of the detected faults."""
        settings = {"ranking": self.experiment.ranking.model_dump(mode="json"), "roles": self.roles, "seed": self.experiment.seed}
        return computed(CODE["rank"], **self._common("rank", "ranking"), inputs=dict(inputs), settings={**settings, **self._features()})

    def report(self, inputs: Mapping[str, str]) -> Job:
        """The offline page."""
        settings = {"document": self.experiment.to_json(), "roles": self.roles}
        return computed(CODE["report"], **self._common("report", "report"), inputs=dict(inputs), settings=settings)

    def _features(self) -> dict[str, Any]:
        features = self.experiment.features
        return {"features": features.model_dump(mode="json"), "catalogue_sha256": sha256_file(catalogue_path(features.catalogue))}

    @property
    def roles(self) -> dict[str, str]:
        """Role of each recording."""
        return {entry.name: entry.role for entry in self.experiment.recordings}

    @property
    def detectors(self) -> Sequence[Any]:
        """The floors, then the document's detectors."""
        listed = {detector.name for detector in self.experiment.detectors}
        return (*(settings_of(name) for name in FLOORS if name not in listed), *self.experiment.detectors)
