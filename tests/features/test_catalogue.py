"""The shipped metric catalogue, and files that are none."""

from __future__ import annotations

import pytest

from tasks.base.errors import DocumentError
from tasks.features.catalogue import load_catalogue, read_catalogue

NAMED = {
    *("request_rate_per_s", "error_ratio", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s", "cpu_cores"),
    *("memory_working_set_bytes", "memory_rss_bytes", "threads", "file_descriptors", "processes", "fs_reads_bytes_per_s"),
    *("fs_writes_bytes_per_s", "restarts", "up", "scrape_duration_s", "queue_depth", "database_bytes", "orders_placed_per_s"),
    *("orders_declined_per_s", "cpu_steal_ratio", "memory_available_bytes"),
}


def floors(name):
    return next((one.floor_abs, one.floor_ratio) for one in read_catalogue("default").metrics if one.metric == name)


def test_default_has_every_metric_that_faults_and_reports_name():
    """Witnesses and callers are found by these names."""
    assert {one.metric for one in read_catalogue("default").metrics} >= NAMED


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("error_ratio", (0.01, 0)),
        ("latency_p95_s", (0.001, 0.15)),
        ("cpu_cores", (0.01, 0)),
        ("memory_working_set_bytes", (1e6, 0)),
        ("up", (0.1, 0)),
    ],
)
def test_resolutions(name, expected):
    """The smallest change that matters, as it was found on a real shop."""
    assert floors(name) == expected


OPEN = "unit: s, labels: {x: '('}"
LINE = "{metric: a, kind: gauge, source: [b], roles: [service], unit: s, floor_abs: 1}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"version: 1\nmetrics: [{LINE}, {LINE}]", "two metrics are named a"),
        (f"version: 1\nmetrics: [{LINE.replace('service', 'harness')}]", "roles"),
        (f"version: 1\nmetrics: [{LINE.replace('floor_abs: 1', 'floor_abs: 0')}]", "floor_abs"),
        (f"version: 1\nmetrics: [{LINE.replace('gauge', 'gouge')}]", "gouge"),
        (f"version: 1\nmetrics: [{LINE.replace('unit: s', OPEN)}]", "regular expression"),
        (f"version: 2\nmetrics: [{LINE}]", "version"),
        ("version: 1\nmetrics: []", "metrics"),
    ],
)
def test_mistakes_are_named(tmp_path, text, what):
    """A catalogue with a mistake is refused with its reason."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(DocumentError, match=what):
        load_catalogue(path)
