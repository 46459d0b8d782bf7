"""What a collector in a cluster is told, and what the document says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.base.errors import DocumentError
from tasks.telemetry.config import DeployedPrometheus, KubeletSource, PrometheusSource, TelemetryConfig
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.kube.rights import needed, wide
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.plan import TailPlan


class Connection:
    """How a cluster is reached, as its adapter says it."""

    server = "https://10.0.0.7:6443/"
    ca_file = "/run/ca.crt"
    cert_file = "/run/client.crt"
    key_file = "/run/client.key"
    token_file = None
    tls_server_name = "kubernetes"
    proxy = None
    verify = True


def plan(**change: Any) -> KubeletPlan:
    """A good one, but for a change."""
    source = KubeletSource(kind="kubelet", pages={"orders": "8080/metrics"}, selector="app=x")
    made = KubeletPlan.of(source, 2.0, Access.of(Connection()), "shop", 1e9, Path("out"))
    return KubeletPlan.from_json({**made.to_json(), **change})


def test_the_section_becomes_a_plan(tmp_path):
    """Settings arrive in it, and it survives its file; secrets stay in files of their own."""
    made = plan()
    made.write(tmp_path / "plan.json")

    assert KubeletPlan.read(tmp_path / "plan.json") == made
    assert (made.interval_s, made.timeout_s, made.kubelet_interval_s, made.kubelet_ticks) == (5.0, 4.0, 10.0, 2)
    assert made.access.url == "https://10.0.0.7:6443"
    assert json.loads((tmp_path / "plan.json").read_text())["access"]["key_file"] == "/run/client.key"


@pytest.mark.parametrize(
    "change",
    [
        {"interval_s": 0},
        {"timeout_s": 6},
        {"kubelet_interval_s": "NaN"},
        {"namespace": "a/b"},
        {"namespace": ""},
        {"containers": "all"},
        {"pages": {"a": "http/metrics"}},
        {"pages": {"a": "80/x y"}},
        {"speed": 1},
        {"access": {"url": "http://10.0.0.7"}},
        {"access": {"url": "https://169.254.169.254"}},
        {"access": 3},
        {"out": None},
    ],
    ids=str,
)
def test_a_wrong_plan_is_refused(change):
    """Before anything is written."""
    with pytest.raises(DocumentError):
        plan(**change)


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "kubelet", "timeout_s": 6},
        {"kind": "kubelet", "kubelet_interval_s": 12},
        {"kind": "kubelet", "kubelet_interval_s": 1},
        {"kind": "kubelet", "pages": {"a": "http"}},
        {"kind": "kubelet", "containers": "everything"},
        {"kind": "prometheus"},
        {"kind": "prometheus", "url": "http://127.0.0.1:9090", "service": "a/b:1"},
        {"kind": "prometheus", "service": "a/b"},
        {"kind": "prometheus", "service": "a/../b:1"},
        {"kind": "prometheus", "service": "a/b:1", "token_env": "X"},
        {"kind": "prometheus", "service": "a/b:1", "file_sd": "x.json"},
        {"kind": "prometheus", "deploy": {"namespace": "Not One"}},
    ],
    ids=str,
)
def test_a_wrong_source_is_refused(source):
    """With a sentence, when the document is checked."""
    with pytest.raises(ValidationError):
        TelemetryConfig.model_validate({"sources": (source,)})


@pytest.mark.parametrize(
    ("source", "interval_s", "rate_window_s", "lag_s"),
    [
        ({"kind": "scrape"}, 1.0, 5.0, 3.0),
        ({"kind": "kubelet"}, 5.0, 60.0, 12.0),
        ({"kind": "kubelet", "containers": "none"}, 5.0, 25.0, 7.0),
        ({"kind": "kubelet", "interval_s": 1.0, "timeout_s": 1.0, "kubelet_interval_s": 2.0}, 1.0, 12.0, 4.0),
        ({"kind": "prometheus", "url": "http://127.0.0.1:9090"}, 5.0, 25.0, 8.0),
        ({"kind": "prometheus", "deploy": {"namespace": "watch"}}, 5.0, 60.0, 13.0),
    ],
    ids=str,
)
def test_the_pace_of_a_source(source, interval_s, rate_window_s, lag_s):
    """Rates where faults are judged are taken over as long as the kubelets' own pace asks for."""
    config = TelemetryConfig.model_validate({"sources": (source,)})

    assert (config.interval_s, config.rate_window_s, config.lag_s) == (interval_s, rate_window_s, lag_s)


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"service": "monitoring/prometheus:9090"}, "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"),
        ({"service": "monitoring/https:prometheus:web"}, "/api/v1/namespaces/monitoring/services/https:prometheus:web/proxy"),
        ({"deploy": {"namespace": "watch"}}, "/api/v1/namespaces/watch/services/tidegauge-prometheus:9090/proxy"),
    ],
    ids=str,
)
def test_a_prometheus_in_the_cluster_is_reached_by_the_api_server(where, path, tmp_path):
    """With the login of the cluster; a plan of it survives its file."""
    source = PrometheusSource.model_validate({"kind": "prometheus", "headers": {"X-Scope": "a"}, **where})
    access = source.access_by(Connection())

    assert source.in_cluster
    assert access.url == "https://10.0.0.7:6443" + path
    assert (access.ca_file, access.key_file, access.tls_server_name, access.headers) == (
        "/run/ca.crt",
        "/run/client.key",
        "kubernetes",
        {"X-Scope": "a"},
    )
    made = TailPlan.of(source, 2.0, 1e9, tmp_path / "out", access)
    made.write(tmp_path / "plan.json")
    assert TailPlan.read(tmp_path / "plan.json") == made
    with pytest.raises(DocumentError, match="no address of its own"):
        _ = source.access


def test_a_prometheus_with_an_address_needs_no_cluster():
    """It is reached as it always was."""
    source = PrometheusSource(kind="prometheus", url="http://127.0.0.1:9090")

    assert not source.in_cluster
    assert source.access_by(Connection()) == source.access


def test_rights_by_source():
    """No more than each needs; the wide one is told of."""
    kubelet, none = KubeletSource(kind="kubelet"), KubeletSource(kind="kubelet", containers="none")
    service = PrometheusSource(kind="prometheus", service="monitoring/prometheus:9090")
    away = PrometheusSource(kind="prometheus", url="http://127.0.0.1:9090")

    told = {str(one) for one in needed(kubelet, "shop")}
    assert {"get nodes/proxy in all namespaces", "get pods/proxy in shop", "watch events in shop", "list deployments.apps in shop"} <= told
    assert {str(one) for one in needed(none, "shop")} == told - {"get nodes/proxy in all namespaces"}
    watched = {one for one in told if not one.startswith("get ")}
    assert {str(one) for one in needed(service, "shop")} - watched == {
        f"{verb} services/proxy prometheus:9090 in monitoring" for verb in ("get", "create")
    }
    assert {str(one) for one in needed(away, "shop")} == watched
    assert [bool(wide(one)) for one in (kubelet, none, service)] == [True, False, False]
    given = [
        wide(PrometheusSource(kind="prometheus", deploy=DeployedPrometheus(namespace="monitoring", cadvisor=way)))
        for way in ("api-server", "kubelet", "none")
    ]
    assert [right in str(text) for right, text in zip(("nodes/proxy", "nodes/metrics", "None"), given, strict=True)] == [True] * 3
