"""Selectors for a Prometheus that ask for what the metric catalogue reads, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.features.catalogue import AnyMetric, Catalogue, read_catalogue
from tests.docs.scale.sizes import Sizes

NAMESPACE = "shop"
SUFFIXES = {"mean": ("_sum", "_count"), "quantile": ("_bucket",)}
GROUPS: tuple[tuple[str, str], ...] = (
    # how names begin, and the conditions that go with them; the last one takes the rest
    ("container_network_", f'namespace="{NAMESPACE}"'),
    ("container_", f'namespace="{NAMESPACE}",container!=""'),
    ("node_", ""),
    ("kube_", f'namespace="{NAMESPACE}"'),
    ("", f'namespace="{NAMESPACE}"'),
)
RATE_ROWS = 6
OURS = ("replica_pods_total",)
"""Written by our own recorder, and in no server."""


def names_of(metric: AnyMetric) -> Iterator[str]:
    """The exposed names that *metric* is made from."""
    for source in metric.source:
        yield from (source + suffix for suffix in SUFFIXES.get(metric.kind, ("",)))
    if metric.kind == "quotient":
        yield metric.above


def selectors(catalogue: Catalogue | None = None) -> tuple[str, ...]:
    """One a group: there are fewer questions than names, and no series is asked for twice."""
    names = {name for metric in (catalogue or read_catalogue("default")).metrics for name in names_of(metric)} - set(OURS)
    grouped: dict[str, list[str]] = {}
    for name in sorted(names):
        grouped.setdefault(next(prefix for prefix, _ in GROUPS if name.startswith(prefix)), []).append(name)
    return tuple(_selector(grouped[prefix], condition) for prefix, condition in GROUPS if prefix in grouped)


def _selector(names: Iterable[str], condition: str) -> str:
    told = f'__name__=~"{"|".join(names)}"'
    return f"{{{condition},{told}}}" if condition else f"{{{told}}}"


def source(sizes: Sizes) -> str:
    """The sections of a document that record so, as YAML."""
    lines = "".join(f"        - '{one}'\n" for one in selectors())
    return (
        f"telemetry:\n  flush_s: {sizes.flush_s:g}\n  sources:\n    - kind: prometheus\n      service: monitoring/prometheus:9090\n"
        f"      interval_s: {sizes.interval_s:g}\n      match:\n{lines}{pace(sizes)}"
    )


def pace(sizes: Sizes) -> str:
    """What follows from the interval: rows, the window of rates, and the time that faults are given."""
    quiet = ", ".join(f"{one:g}" for one in sizes.quiet_s)
    return (
        f"features: {{profile: long, grid_s: {sizes.interval_s:g}, rate_window_s: {RATE_ROWS * sizes.interval_s:g}}}\n"
        f"faults:\n  before_s: {sizes.before_s:g}\n  duration_s: {sizes.fault_s:g}\n  quiet_s: [{quiet}]\n"
        "  placebos: 1\n  trials:\n    - {kind: service_outage, target: user, intensity: 1.0}\n"
    )


def deployed(sizes: Sizes, memory_mib: int, volume_gib: int) -> str:
    """The same with a Prometheus of one's own, as YAML."""
    return (
        f"telemetry:\n  flush_s: {sizes.flush_s:g}\n  sources:\n    - kind: prometheus\n      interval_s: {sizes.interval_s:g}\n"
        "      deploy:\n        namespace: shop-telemetry\n"
        "        cadvisor: kubelet        # not by the API server; needs nodes/metrics alone\n"
        f"        kubelet_interval_s: {sizes.interval_s:g}\n        memory_mib: {memory_mib}\n"
        f"        volume_gib: {volume_gib}           # with room for its log and for compaction\n{pace(sizes)}"
    )


def as_mapping(sizes: Sizes) -> Mapping[str, Any]:
    """What :func:`source` says, read."""
    from tasks.base.yaml_source import parse_source

    found: Mapping[str, Any] = parse_source(source(sizes).encode(), "match").value
    return found
