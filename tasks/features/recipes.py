"""Which series make which column: the catalogue applied to the series of a recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.features.catalogue import AnyMetric, Catalogue, Gauge, Mean, Quantile, Quotient, Share
from tasks.features.histograms import parse_edge
from tasks.features.matrix import Column
from tasks.features.source import Series

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    How one column is made.

    *ids* are all its series (of a mean: its counts), *part* those of the part (of a mean: its sums; of a quotient: what is
    above), *buckets* the series of a histogram by upper edge, ascending.
    """

    column: Column
    metric: AnyMetric
    ids: Ids
    part: Ids = ()
    buckets: tuple[tuple[float, Ids], ...] = ()

    @property
    def counters(self) -> Ids:
        """Numbers of the series that are counters."""
        return () if isinstance(self.metric, Gauge) else self.needed

    @property
    def sums(self) -> tuple[Ids, ...]:
        """The sets of series of which each is combined to one."""
        return tuple(ids for _, ids in self.buckets) if self.buckets else (self.ids, self.part)

    @property
    def needed(self) -> Ids:
        """Numbers of all series that it reads."""
        return tuple(number for ids in self.sums for number in ids)


def recipes(series: Iterable[Series], catalogue: Catalogue) -> tuple[Recipe, ...]:
    """The columns that *series* can make, sorted by name. Series of the harness's role make none."""
    by_name: dict[str, list[Series]] = {}
    for one in series:
        if one.role != "harness" and one.service:
            by_name.setdefault(one.name, []).append(one)
    made = [recipe for metric in catalogue.metrics for recipe in _of_metric(metric, by_name)]
    return tuple(sorted(made, key=lambda recipe: recipe.column.name))


def _of_metric(metric: AnyMetric, by_name: Mapping[str, Sequence[Series]]) -> Iterable[Recipe]:
    done: set[str] = set()
    suffix = {"mean": "_count", "quantile": "_bucket"}.get(metric.kind, "")
    for source in metric.source:
        found: dict[str, list[Series]] = {}
        for one in by_name.get(source + suffix, ()):
            if metric.wants(one.role, one.labels) and one.service not in done:
                found.setdefault(one.service, []).append(one)
        for service, members in found.items():
            recipe = _of_service(metric, source, service, members, by_name)
            if recipe is not None:
                done.add(service)
                yield recipe


def _of_service(
    metric: AnyMetric, source: str, service: str, members: Sequence[Series], by_name: Mapping[str, Sequence[Series]]
) -> Recipe | None:
    column = Column(f"{service}/{metric.metric}", service, metric.metric, metric.unit, metric.floor_abs, metric.floor_ratio)
    ids = tuple(one.id for one in members)
    if isinstance(metric, Share):
        return Recipe(column, metric, ids, part=tuple(one.id for one in members if metric.in_part(one.labels)))
    if isinstance(metric, Mean | Quotient):
        name = metric.above if isinstance(metric, Quotient) else f"{source}_sum"
        above = [one for one in by_name.get(name, ()) if one.service == service and metric.wants(one.role, one.labels)]
        return Recipe(column, metric, ids, part=tuple(one.id for one in above)) if above else None
    if isinstance(metric, Quantile):
        buckets = shared_buckets(members)
        return Recipe(column, metric, (), buckets=buckets) if len(buckets) > 1 else None
    return Recipe(column, metric, ids)


def shared_buckets(members: Iterable[Series]) -> tuple[tuple[float, Ids], ...]:
    """
    Bucket series by the upper edges that all label sets share, ascending.

    Only at shared edges may the cumulative buckets of several label sets be added. Empty when the infinite edge is not
    among them; series whose ``le`` is not a number are left out.
    """
    sets: dict[tuple[tuple[str, str], ...], dict[float, int]] = {}
    for one in members:
        try:
            edge = parse_edge(one.labels.get("le", ""))
        except ValueError:
            continue
        key = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        sets.setdefault(key, {})[edge] = one.id
    if not sets:
        return ()
    edges = sorted(set.intersection(*(set(one) for one in sets.values())))
    if not edges or not math.isinf(edges[-1]):
        return ()
    return tuple((edge, tuple(one[edge] for one in sets.values())) for edge in edges)
