"""
The experiment document: one strict YAML file, or one value in the Prefect UI's form.

Every mistake is reported at once as ``file:line:column: setting: what was expected``, with the nearest key.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from flows.consistency import completed, doubts, plan_doubts
from flows.mending import NO_LOAD, mended
from tasks.app.config import AppConfig, DemoShop
from tasks.base.errors import DocumentError
from tasks.base.mistakes import mistakes_of, shown
from tasks.base.model import Name, Strict
from tasks.base.yaml_events import Loc
from tasks.base.yaml_source import Source, dotted, parse_value, read_source, refuse, undotted
from tasks.cluster.config import ClusterConfig, LocalCluster
from tasks.detectors.config import DEFAULT, DetectorsConfig
from tasks.evaluation.config import EvaluationConfig
from tasks.faults.config import FaultsConfig
from tasks.features.config import FeaturesConfig
from tasks.load.config import LoadConfig
from tasks.recordings.config import RecordingEntry
from tasks.rootcause.config import RankingConfig
from tasks.telemetry.config import TelemetryConfig

OF_RECORDING = ("cluster", "app", "load", "telemetry", "faults")
"""Sections on how recordings are made."""


class Experiment(Strict):
    """What to deploy, how to load it, what to break, what to record, which detectors to try and how to score them."""

    version: Literal[1] = 1
    """Version of this document's format."""
    name: Name
    """Shown in reports and in the Prefect UI."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    """Fixes fault order, pauses, journeys and every random choice of the detectors."""
    cluster: ClusterConfig = LocalCluster()
    """Where the app runs."""
    app: AppConfig = DemoShop()
    """What runs there."""
    load: LoadConfig | None = None
    """Who uses it, how much, when; empty only where every recording is imported."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """What is sampled."""
    recordings: Annotated[tuple[RecordingEntry, ...], Field(min_length=1, strict=False)]
    """The deployments, in order."""
    faults: FaultsConfig | None = None
    """What is broken in the recordings of role ``faults``."""
    features: FeaturesConfig = FeaturesConfig()
    """How samples become a matrix."""
    detectors: DetectorsConfig = DEFAULT
    """Which detectors are tried; the floors are always there."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How alarms are scored."""
    ranking: RankingConfig = RankingConfig()
    """How root causes are ranked."""

    @field_validator("load", mode="before")
    @classmethod
    def _stated(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("must be a mapping of settings, but is empty")
        return value

    @model_validator(mode="after")
    def _roles(self) -> "Experiment":
        names = [entry.name for entry in self.recordings]
        roles = [entry.role for entry in self.recordings]
        problems = [f"recordings: two are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]
        to_break = "faults" in {entry.role for entry in self.recorded}
        if self.recorded and self.load is None:
            problems.append(NO_LOAD)
        if "training" not in roles:
            problems.append("recordings: none has the role training")
        if "faults" in roles and "calibration" not in roles:
            problems.append("recordings: none has the role calibration, and thresholds come from one")
        if to_break and self.faults is None:
            problems.append("recordings: one has the role faults, and there is no section faults that says which")
        if not to_break and self.faults is not None:
            problems.append("faults: no recording has the role faults, as {name: faults, role: faults} would")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def recorded(self) -> tuple[RecordingEntry, ...]:
        """The recordings that are made, not imported."""
        return tuple(entry for entry in self.recordings if entry.imported is None)

    @property
    def imported(self) -> dict[str, str]:
        """References of the imported recordings, by name."""
        return {entry.name: entry.imported for entry in self.recordings if entry.imported is not None}

    def traffic(self) -> LoadConfig:
        """
        The section ``load``, for whoever records.

        Raises:
            DocumentError: There is none: everything in it is imported.
        """
        if self.load is None:
            raise DocumentError(f"{self.name} says nothing of load: all its recordings are imported")
        return self.load

    def to_json(self) -> dict[str, Any]:
        """All settings, defaults filled in; where everything is imported, without what would only say how to record."""
        value = self.model_dump(mode="json", exclude=None if self.recorded else set(OF_RECORDING))
        value["recordings"] = [
            {"name": entry.name, "role": entry.role, "imported": entry.imported}
            if entry.imported is not None
            else entry.model_dump(mode="json", exclude={"imported"})
            for entry in self.recordings
        ]
        return value


def load_document(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """
    Read, override (``--set a.b=value``) and validate the document at *path*; a table of users that it names is read along.

    Raises:
        DocumentError: Anything is wrong with it, or it could not be believed; all mistakes are listed.
    """
    return validate(with_overrides(read_source(path, keep_mistakes=True), overrides), path.parent, to_record=True)


def with_overrides(source: Source, overrides: Sequence[str]) -> Source:
    """
    *source* with each ``setting=value`` put in; a value is YAML.

    Raises:
        DocumentError: One is not of that form, or there is nothing at its path.
    """
    value, origins, problems = source.value, dict(source.origins), []
    for text in overrides:
        setting, equals, raw = text.partition("=")
        try:
            if not equals or not setting.strip("."):
                raise ValueError("is not setting=value, as in evaluation.false_alarms_per_day=24")
            loc = undotted(setting)
            value = _with(value, loc, parse_value(raw), ())
            origins[loc] = f"--set {text if text.isprintable() else repr(text)}"
        except ValueError as error:
            problems.append(f"--set {text!r}: {error}")
    if problems:
        raise DocumentError("\n".join(problems), next_step=f"tidegauge check {source.name}")
    wrong = tuple((loc, one) for loc, one in source.wrong if not any(loc[: len(put)] == put for put in origins))
    return replace(source, value=value, origins=origins, wrong=wrong)


def _with(value: Any, loc: Loc, inner: Any, above: Loc) -> Any:
    if not loc:
        return inner
    head, rest = loc[0], loc[1:]
    if isinstance(value, list) and isinstance(head, int) and head < len(value):
        return [_with(item, rest, inner, (*above, head)) if index == head else item for index, item in enumerate(value)]
    if isinstance(value, dict | None) and not isinstance(value, list):
        base, name = value or {}, str(head)
        return {**base, name: _with(base.get(name), rest, inner, (*above, name))}
    there = f"a list of {len(value)} items, counted from 0" if isinstance(value, list) else shown(value)
    raise ValueError(f"there is no {head} in {dotted(above)}, which is {there}")


def _frozen_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen_lists(item) for key, item in value.items()}
    return tuple(_frozen_lists(item) for item in value) if isinstance(value, list) else value


def validate(source: Source, folder: Path | None = None, *, to_record: bool = False) -> Experiment:
    """
    The experiment in *source*.

    Args:
        source: The document.
        folder: Where a table of users is looked for, before the shipped ones.
        to_record: Whether faults will be tried by it: then their plan must be believable too.

    Raises:
        DocumentError: All mistakes, each with its place.
    """
    found = [mistake for _, mistake in source.wrong]
    experiment: Experiment | None = None
    value, exact = source.value, True
    for only in (None, "value_error", "value_error"):  # what stands in for a mistake may be missed elsewhere: that is nobody's mistake
        try:
            experiment = Experiment.model_validate(_frozen_lists(value))
            break
        except ValidationError as error:
            found += mistakes_of(source, error, Experiment, only=only)
            value, same = mended(value, error)
            exact = exact and same
    if experiment is not None:
        experiment, wrong = completed(experiment, folder)
        wrong += doubts(experiment, stated=value)
        wrong += plan_doubts(experiment, quiet_too=exact, lengths_too=not found) if to_record else []
        found += [source.mistake(loc, text) for loc, text in wrong]
    if found or experiment is None:
        raise refuse(source.name, found)
    return experiment
