"""Rank services and metrics as the cause of what began at an onset."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.rootcause.config import RankingConfig
from tasks.rootcause.deviations import Slices, n_sigma, robust, scale_of, slices_at
from tasks.rootcause.model import Edge, Observed, Ranking, ordered

REQUEST_METRICS = frozenset({"request_rate_per_s", "error_ratio", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s"})
"""What a service measures of the calls to it: the metrics of call edges, not of a service's own resources."""
CLIP = 50.0
PLACEBO_SHARE = 0.99
MIN_PRETENDED = 20


@dataclass(frozen=True, slots=True)
class ServiceNorms:
    """What each service's two terms reach when nothing happens: divisors, at least one scale, in candidate order."""

    resources: NDArray[np.float64]
    edges: NDArray[np.float64]
    windows: int
    """Pretended onsets they were taken from; 0: too few, and every divisor is 1."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """Everything learnt from fault-free history; ranks any onset after."""

    settings: RankingConfig
    edges: tuple[Edge, ...]
    candidates: tuple[str, ...]
    scale: NDArray[np.float64]
    """Shape ``(n_columns,)``."""
    norms: ServiceNorms

    @classmethod
    def learn(cls, history: Observed, edges: Sequence[Edge], settings: RankingConfig) -> Ranker:
        """
        From a long fault-free recording with the columns of those to be ranked.

        The norms are the 99 % points of each service's terms over pretended onsets in *history*, one every effect
        length; with fewer than 20 such onsets they are 1.
        """
        scale = scale_of(history.values, history.resolution)
        bare = cls(settings, tuple(edges), history.candidates, scale, _no_norms(len(history.candidates)))
        return cls(settings, tuple(edges), history.candidates, scale, _norms(history, bare))

    def rank(self, observed: Observed, onset_s: float, *, usable: NDArray[np.bool_] | None = None) -> tuple[Ranking, ...]:
        """
        One ranking a method of the settings, in their order.

        Args:
            observed: The recording, with the columns of the history.
            onset_s: When the fault is taken to begin.
            usable: Rows that earlier faults left untouched, shape ``(n_rows,)``; None: all.

        Raises:
            ValueError: Other columns than the history's.
        """
        if len(observed.services) != len(self.scale) or observed.candidates != self.candidates:
            raise ValueError("the recording does not have the columns of the history")
        slices = slices_at(
            observed,
            onset_s,
            reference_s=self.settings.reference_length_s,
            effect_s=self.settings.effect_length_s,
            usable=usable,
        )
        return tuple(self._by(method, observed, slices) for method in self.settings.methods)

    def _by(self, method: str, observed: Observed, slices: Slices) -> Ranking:
        if method == "random":
            metrics = np.zeros(len(self.scale))
            services = np.zeros(len(self.candidates))
        elif method == "n_sigma":
            metrics = n_sigma(slices, observed.resolution)
            services = np.array([_largest(metrics[columns]) for columns in _own(observed, self.candidates)])
        else:
            metrics = np.abs(robust(slices, self.scale))
            resources, touching = terms(metrics, observed, self.edges, self.candidates)
            services = _added(resources / self.norms.resources, touching / self.norms.edges)
        known = [i for i, service in enumerate(observed.services) if service in self.candidates]
        names = observed.names
        return Ranking(method, ordered(self.candidates, services), ordered([names[i] for i in known], metrics[known]))


def terms(
    sizes: NDArray[np.float64], observed: Observed, edges: Sequence[Edge], candidates: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    The two terms of each service's score, in the order of *candidates*; NaN: nothing valid to take it from.

    First, the largest deviation of its own resource metrics. Second, the mean clipped deviation over the call edges that touch
    it; an edge has no metrics of its own, so what its two ends measure of requests stands for it. Without any edge, what a
    service measures of requests is among its own metrics.

    Args:
        sizes: Absolute deviations, shape ``(n_columns,)``.
        observed: Whose columns they are.
        edges: Who calls whom.
        candidates: Services to score.
    """
    is_request = np.array([bool(edges) and metric in REQUEST_METRICS for metric in observed.metrics], dtype=np.bool_)
    service = np.array(observed.services)
    clipped = np.minimum(sizes, CLIP)
    resources = [_largest(sizes[(service == name) & ~is_request]) for name in candidates]
    of_edge = {edge: _mean(clipped[np.isin(service, [edge.caller, edge.callee]) & is_request]) for edge in edges}
    touching = [_mean(np.array([of_edge[e] for e in of_edge if name in (e.caller, e.callee)])) for name in candidates]
    return np.array(resources), np.array(touching)


def _norms(history: Observed, bare: Ranker) -> ServiceNorms:
    settings = bare.settings
    if not history.step_s:
        return bare.norms
    first = float(history.time_s[0]) + settings.reference_length_s
    last = float(history.time_s[-1]) + history.step_s - settings.effect_length_s
    onsets = np.arange(first, last, settings.effect_length_s)
    if len(onsets) < MIN_PRETENDED:
        return bare.norms
    found = []
    for onset in onsets:
        slices = slices_at(history, onset, reference_s=settings.reference_length_s, effect_s=settings.effect_length_s)
        found.append(terms(np.abs(robust(slices, bare.scale)), history, bare.edges, bare.candidates))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # services without such metrics, set to 1 below
        points = np.nanquantile(np.array(found), PLACEBO_SHARE, axis=0)
    resources, edges = np.fmax(points, 1.0)
    return ServiceNorms(resources, edges, len(onsets))


def _no_norms(n: int) -> ServiceNorms:
    return ServiceNorms(np.ones(n), np.ones(n), 0)


def _own(observed: Observed, candidates: Sequence[str]) -> list[NDArray[np.bool_]]:
    service = np.array(observed.services)
    return [service == name for name in candidates]


def _largest(sizes: NDArray[np.float64]) -> float:
    known = sizes[~np.isnan(sizes)]
    return float(known.max()) if len(known) else float("nan")


def _mean(sizes: NDArray[np.float64]) -> float:
    known = sizes[~np.isnan(sizes)]
    return float(known.mean()) if len(known) else float("nan")


def _added(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Their sum, where one is undefined the other, where both are NaN."""
    both = np.nan_to_num(first) + np.nan_to_num(second)
    return np.where(np.isnan(first) & np.isnan(second), np.nan, both)
