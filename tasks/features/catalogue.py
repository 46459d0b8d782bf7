"""The metric catalogue: which features there are, what each is made from, and the smallest change of it that matters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from tasks.base.errors import DocumentError
from tasks.base.model import Ratio, Strict
from tasks.base.shipped import shipped
from tasks.base.yaml_source import read_source

Role = Literal["service", "container", "pod", "node"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Floor = Annotated[float, Field(ge=0, strict=False)]


class Metric(Strict):
    """One feature of every service that exposes what it is made from."""

    metric: MetricName
    """Name of the feature; with its service it names the column, `orders/cpu_cores`."""
    source: Annotated[list[str], Field(min_length=1)]
    """Exposed metric names; they are alternatives, the first one that a service has is taken."""
    roles: Annotated[list[Role], Field(min_length=1)]
    """Roles of the targets whose series are read; never the harness's own."""
    labels: dict[str, Pattern] = Field(default_factory=dict)
    """Only series whose labels match these regular expressions wholly; a missing label is the empty text."""
    unit: str
    """Unit, as shown in reports."""
    floor_abs: Annotated[float, Field(gt=0, strict=False)]
    """The smallest change that matters, in the metric's unit: no scale is ever smaller."""
    floor_ratio: Floor = 0.0
    """The same as a share of the training median; the larger of the two counts."""

    def wants(self, role: str, labels: Mapping[str, str]) -> bool:
        """Whether a series of *role* with *labels* belongs to the metric, its name apart."""
        return role in self.roles and all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.labels.items())


class Gauge(Metric):
    """A value as it stands."""

    kind: Literal["gauge"]
    """A value as it stands; several series of a service are combined."""
    combine: Literal["sum", "max", "mean"] = "sum"
    """How several series of a service become one."""


class Rate(Metric):
    """A counter's growth a second."""

    kind: Literal["rate"]
    """A counter's growth a second, summed over the service's series."""


class Increase(Metric):
    """A counter's growth within the rate window."""

    kind: Literal["increase"]
    """A counter's growth within the rate window, summed over the service's series: for rare events."""


class Share(Metric):
    """The part of a counter's growth that has certain labels."""

    kind: Literal["share"]
    """Growth of the series that match `part`, over growth of all of them; undefined when nothing grew."""
    part: Annotated[dict[str, Pattern], Field(min_length=1)]
    """Labels of the part, as regular expressions."""

    def in_part(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with *labels* belongs to the part."""
        return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.part.items())


class Quotient(Metric):
    """The growth of one counter over that of another."""

    kind: Literal["quotient"]
    """Growth of `above` over growth of `source`, summed over the service's series; undefined when the latter did not grow."""
    above: Annotated[str, Field(min_length=1)]
    """Exposed name of the counter above."""


class Mean(Metric):
    """Mean of what a histogram or summary observed."""

    kind: Literal["mean"]
    """Growth of `SOURCE_sum` over growth of `SOURCE_count`; undefined when nothing was observed."""


class Quantile(Metric):
    """A quantile of what a histogram observed."""

    kind: Literal["quantile"]
    """Quantile of the growth of `SOURCE_bucket`, all label sets of a service together; undefined when nothing was observed."""
    q: Ratio
    """Which quantile: .95 for the 95th percentile."""


AnyMetric = Annotated[Gauge | Rate | Increase | Share | Quotient | Mean | Quantile, Field(discriminator="kind")]


class Catalogue(Strict):
    """A metric catalogue file."""

    version: Literal[1]
    """Version of the file's form."""
    metrics: Annotated[list[AnyMetric], Field(min_length=1)]
    """The features."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: dict[tuple[str, str], int] = {}
        for place, metric in enumerate(self.metrics):
            for role in metric.roles:
                if seen.setdefault((metric.metric, "node" if role == "node" else "service"), place) != place:
                    raise ValueError(f"two metrics are named {metric.metric}")
        return self


_ADAPTER = TypeAdapter(Catalogue)


def catalogue_path(name: str) -> Path:
    """Where the shipped catalogue *name* stands."""
    return shipped("metrics") / f"{name}.yaml"


def read_catalogue(name: str) -> Catalogue:
    """
    The shipped catalogue *name*.

    Raises:
        DocumentError: There is none of that name, or it is not a catalogue.
    """
    path = catalogue_path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise DocumentError(f"features.catalogue: there is no metric catalogue named {name!r}", next_step=f"name one of: {known}")
    return load_catalogue(path)


def load_catalogue(path: Path) -> Catalogue:
    """
    The catalogue in the file *path*.

    Raises:
        DocumentError: It is not a catalogue; every mistake is listed.
    """
    try:
        return _ADAPTER.validate_python(read_source(path, what="metric catalogue").value)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise DocumentError("\n".join([f"{path.name} is not a valid metric catalogue:", *lines])) from error
