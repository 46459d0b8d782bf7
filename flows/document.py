"""
The experiment document: one strict YAML file, or one value in the Prefect UI's form.

Every mistake is reported at once as ``file:line:column: setting: what was expected``, with the nearest key.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from tasks.app.config import AppConfig, DemoShop
from tasks.base.errors import DocumentError
from tasks.base.model import Name, Strict
from tasks.base.yaml_source import Loc, Mistake, Source, dotted, parse_source, read_source, refuse
from tasks.cluster.config import ClusterConfig, LocalCluster
from tasks.detectors.config import DEFAULT, DetectorsConfig
from tasks.evaluation.config import EvaluationConfig
from tasks.faults.config import FaultsConfig
from tasks.features.config import FeaturesConfig
from tasks.load.config import LoadConfig
from tasks.recordings.config import RecordingEntry
from tasks.rootcause.config import RankingConfig
from tasks.telemetry.config import TelemetryConfig


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
    load: LoadConfig
    """Who uses it, how much, when."""
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

    @model_validator(mode="after")
    def _roles(self) -> "Experiment":
        names = [entry.name for entry in self.recordings]
        roles = [entry.role for entry in self.recordings]
        problems = [f"two recordings are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]
        if "training" not in roles:
            problems.append("no recording has the role training")
        if "faults" in roles and "calibration" not in roles:
            problems.append("no recording has the role calibration, and thresholds come from one")
        if ("faults" in roles) != (self.faults is not None):
            problems.append("a recording of role faults and the section faults belong together; one of them is missing")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load_document(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """
    Read, override (``--set a.b=value``) and validate the document at *path*.

    Raises:
        DocumentError: Anything is wrong with it; all mistakes are listed.
    """
    return validate(with_overrides(read_source(path), overrides))


def with_overrides(source: Source, overrides: Sequence[str]) -> Source:
    """
    *source* with each ``setting=value`` put in; a value is YAML.

    Raises:
        DocumentError: One is not of that form, or there is nothing at its path.
    """
    value, marks = source.value, dict(source.marks)
    for text in overrides:
        setting, equals, raw = text.partition("=")
        if not equals or not setting:
            raise DocumentError(f"--set {text!r} is not setting=value", next_step="for example: --set evaluation.false_alarms_per_day=24")
        inner = parse_source(f"value: {raw}".encode(), f"--set {setting}").value["value"]
        value = _with(value, tuple(int(part) if part.isdigit() else part for part in setting.split(".")), inner, setting)
    return Source(source.name, value, marks)


def _with(value: Any, loc: Loc, inner: Any, setting: str) -> Any:
    if not loc:
        return inner
    head, rest = loc[0], loc[1:]
    if isinstance(value, list) and isinstance(head, int) and head < len(value):
        return [_with(item, rest, inner, setting) if index == head else item for index, item in enumerate(value)]
    if isinstance(value, dict | None) and isinstance(head, str):
        base = value or {}
        return {**base, head: _with(base.get(head), rest, inner, setting)}
    raise DocumentError(f"--set {setting}: there is nothing at {head!r}", next_step="tidegauge check FILE")


def validate(source: Source) -> Experiment:
    """
    The experiment in *source*.

    Raises:
        DocumentError: All mistakes, each with its place.
    """
    try:
        return Experiment.model_validate(_frozen_lists(source.value))
    except ValidationError as error:
        raise refuse(source.name, [_mistake(source, dict(item)) for item in error.errors()]) from error


def _frozen_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen_lists(item) for key, item in value.items()}
    return tuple(_frozen_lists(item) for item in value) if isinstance(value, list) else value


def _mistake(source: Source, item: Mapping[str, Any]) -> Mistake:
    loc = _in_document(source.value, item["loc"])
    kind, text = item["type"], _plain(str(item["msg"]))
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[-1]), sorted(_settings_at(loc[:-1])), 1, 0.5)
        text = "no such setting" + (f"; did you mean {near[0]}?" if near else "")
    elif kind in ("literal_error", "union_tag_invalid", "enum"):
        expected = str(item.get("ctx", {}).get("expected") or item.get("ctx", {}).get("expected_tags", ""))
        near = difflib.get_close_matches(
            str(item.get("ctx", {}).get("tag", item["input"])), [e.strip("'\" ") for e in expected.split(",")], 1
        )
        text = f"must be one of {expected}" + (f"; did you mean {near[0]}?" if near else "")
    elif kind == "missing":
        text = "is missing"
    line, column = source.mark(loc)
    return Mistake(line, column, dotted(loc), text)


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message.replace("Input should be", "must be")


def _in_document(value: Any, loc: Sequence[str | int]) -> Loc:
    """Where *loc* of a validation error is in the document: tags of unions are not part of it."""
    found: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (last and isinstance(value, dict)):
            continue
        found.append(part)
    return tuple(found)


def _settings_at(loc: Loc) -> set[str]:
    """Names of the settings that the schema knows at *loc*, whichever variant is meant."""
    schema = Experiment.model_json_schema()
    places = [schema]
    for part in loc:
        places = [child for place in places for child in _children(schema, place, part)]
    return {name for place in places for variant in _variants(schema, place) for name in variant.get("properties", {})}


def _variants(schema: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in place:
        yield from _variants(schema, schema["$defs"][place["$ref"].rpartition("/")[2]])
        return
    yield place
    for group in ("oneOf", "anyOf", "allOf"):
        for inner in place.get(group, ()):
            yield from _variants(schema, inner)


def _children(schema: Mapping[str, Any], place: Mapping[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    for variant in _variants(schema, place):
        if isinstance(part, int):
            if isinstance(variant.get("items"), dict):
                yield variant["items"]
        elif part in variant.get("properties", {}):
            yield variant["properties"][part]
