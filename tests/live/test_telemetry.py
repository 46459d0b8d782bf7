"""Telemetry of a real cluster: pods that are replaced, a kubelet that looks when it likes, a Prometheus behind the API server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.labels import run_labels
from tasks.kube.rights import bindings, role_text, roles
from tasks.telemetry.config import DeployedPrometheus, KubeletSource, PrometheusSource
from tasks.telemetry.kube.certified import certified
from tasks.telemetry.kube.deployment import Placed, manifests
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.kube.rights import needed
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.prometheus.adapter import DirectAdapter
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.prometheus.preflight import looked_over
from tasks.telemetry.runner import Collector
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.series import Series
from tests.ledger import Ledger
from tests.live.conftest import Cluster, eventually
from tests.live.context import NAMES

DEMO, PROMETHEUS = "tidegauge.test/demo:1", "tidegauge.test/prometheus:3.16.0"
pytestmark = [pytest.mark.live, pytest.mark.images(DEMO), pytest.mark.timeout(180)]
CPU, REQUESTS = "container_cpu_usage_seconds_total", "request_duration_seconds_count"
APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: NAMESPACE}
spec:
  replicas: 1
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}, annotations: {prometheus.io/scrape: "true", prometheus.io/port: "80"}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: front
          image: IMAGE
          imagePullPolicy: Never
          readinessProbe: {httpGet: {path: /health, port: 80}, periodSeconds: 1}
          resources: {requests: {cpu: 20m, memory: 50Mi}, limits: {cpu: 300m, memory: 120Mi}}
"""


@contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[str]:
    """A namespace for the time inside; that of an earlier test may still be going."""
    name = NAMES.new(name)
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def app(cluster: Cluster) -> Iterator[str]:
    """The namespace of a little app that is ready."""
    with namespace(cluster, "telemetry-live-app") as name:
        cluster.kubectl("apply", "-f", "-", given=APP.replace("NAMESPACE", name).replace("IMAGE", DEMO))
        cluster.kubectl("-n", name, "rollout", "status", "deployment/front", "--timeout=90s")
        yield name


def pods(cluster: Cluster, name: str) -> list[str]:
    """Names of the pods of ``front`` that are not about to go."""
    found = json.loads(cluster.kubectl("-n", name, "get", "pods", "-l", "app=front", "-o", "json"))["items"]
    return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]


def connected(cluster: Cluster, folder: Path) -> Access:
    """The API server, as another process reaches it."""
    return Access.of(Kube.connect(KubeAccess(kubeconfig=str(cluster.kubeconfig))).connection(folder))


@contextmanager
def restricted(cluster: Cluster, place: str, folder: Path) -> Iterator[Access]:
    """The API server for a ServiceAccount that may do what the source says that it needs, and nothing else."""
    access, name, rights = connected(cluster, folder / "connection"), "recorder", needed(KubeletSource(kind="kubelet"), place)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": place}
    documents = [*roles(f"telemetry-live-{name}", rights), *bindings(f"telemetry-live-{name}", rights, subject)]
    cluster.kubectl("-n", place, "create", "serviceaccount", name)
    cluster.kubectl("apply", "-f", "-", given=role_text(documents))
    try:
        token = folder / "sa-token"
        token.write_text(cluster.kubectl("-n", place, "create", "token", name))
        yield Access(access.url, ca_file=access.ca_file, token_file=str(token), tls_server_name=access.tls_server_name)
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", f"telemetry-live-{name}")


@contextmanager
def collecting(plan: Any) -> Iterator[Collector]:
    """A running collector."""
    collector = Collector.start(plan)
    try:
        collector.ready(30)
        yield collector
    finally:
        collector.stop()


def of(series: tuple[Series, ...], name: str, role: str, **labels: str) -> list[Series]:
    """The series of ``front`` of that name and role, with these labels among theirs."""
    return [one for one in series if (one.name, one.role, one.service) == (name, role, "front") and labels.items() <= one.labels.items()]


def values(samples: Samples, one: Series) -> dict[int, float]:
    """Value by time in ms."""
    mine = samples.series == one.id
    return dict(zip(samples.time_ms[mine].tolist(), samples.value[mine].tolist(), strict=True))


def kubernetes(out: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of a kind of what happened."""
    return [line for text in (out / "kubernetes.jsonl").read_text().splitlines() if (line := json.loads(text))["kind"] == kind]


def burnt(cluster: Cluster, name: str) -> None:
    """Let the pod of ``front`` do something that it counts."""
    (pod,) = pods(cluster, name)
    cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{name}/pods/{pod}:80/proxy/burn?ms=20")


def test_a_pod_is_deleted_in_the_middle(cluster: Cluster, app: str, tmp_path: Path, ledger: Ledger) -> None:
    """One logical series a metric goes on, resets are counted, no sample is lost or doubled, events are there: under the smallest Roles."""
    attempt = ledger.begin(row=7, fault="a pod is deleted in a recording", where="cluster")
    out = tmp_path / "recording"
    source = KubeletSource(kind="kubelet", interval_s=1.0, timeout_s=1.0, kubelet_interval_s=2.0)
    with (
        restricted(cluster, app, tmp_path) as access,
        collecting(KubeletPlan.of(source, 1.0, access, app, time.time(), out)) as collector,
    ):
        (first,) = pods(cluster, app)
        for _ in range(5):
            burnt(cluster, app)
        time.sleep(8)
        cluster.kubectl("-n", app, "delete", "pod", first, "--wait=false")
        eventually(lambda: pods(cluster, app) not in ([], [first]))
        cluster.kubectl("-n", app, "rollout", "status", "deployment/front", "--timeout=60s")
        burnt(cluster, app)
        time.sleep(8)
        eventually(lambda: not collector.status().down)

    series, samples = read_series(out), read_samples(out)
    (requests,) = of(series, REQUESTS, "service", route="burn")
    (cpu,) = of(series, CPU, "container")
    assert list(values(samples, requests).values())[-1] == 1.0, "the second pod counts from its own beginning"
    assert max(values(samples, requests).values()) == 5.0
    assert 0.0 in values(samples, of(series, "up", "service")[0]).values() or len(kubernetes(out, "replica")) == 2
    times = np.array(list(values(samples, cpu)))
    assert (np.diff(times) > 0).all()
    assert [(one["replica"], one["pod"] == first) for one in kubernetes(out, "replica")] == [(0, True), (0, False)]
    told = {(one["reason"], one["object"].partition("/")[0]) for one in kubernetes(out, "event")}
    assert {("Killing", "pod"), ("SuccessfulCreate", "replicaset"), ("Started", "pod")} <= told
    up = np.isin(samples.series, [one.id for one in series if one.name == "up"])
    found = certified(series, samples, span=(samples.time_ms[up].min() / 1000, samples.time_ms[up].max() / 1000))
    assert (found.duplicates, found.out_of_order, found.gaps) == (0, 0, ())
    assert found.samples_found == found.samples_expected
    assert found.counter_resets >= 2
    assert found.cadence is not None
    assert 0.5 < found.cadence["cadvisor"]["median_gap_s"] < 20
    assert json.loads((out / "collector.json").read_text())["kubelet"]["not_allowed"] == []
    attempt.survived("1 series for 2 pods, duplicates 0")


@contextmanager
def deployed(cluster: Cluster, place: str, app: str) -> Iterator[DeployedPrometheus]:
    """A Prometheus for the run that is ready; nothing of it is left in the cluster but its namespace."""
    wanted = DeployedPrometheus(namespace=place, image=PROMETHEUS, kubelet_interval_s=2.0)
    placed = Placed(app, 1.0, 600.0, run_labels("telemetry-live", "telemetry"), "telemetry-live")
    cluster.kubectl("apply", "-f", "-", given=role_text(manifests(wanted, placed)))
    try:
        cluster.kubectl("-n", place, "rollout", "status", "deployment/tidegauge-prometheus", "--timeout=90s")
        yield wanted
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", "-l", "tidegauge.dev/run=telemetry-live")


@pytest.mark.images(PROMETHEUS)
def test_a_prometheus_for_the_run_tells_the_same(cluster: Cluster, app: str, tmp_path: Path) -> None:
    """Raw samples by remote read through the proxy of its service: counters and CPU agree with those of the kubelet source."""
    connection = Kube.connect(KubeAccess(kubeconfig=str(cluster.kubeconfig))).connection(tmp_path / "connection")
    with namespace(cluster, "telemetry-live-prometheus") as place, deployed(cluster, place, app) as wanted:
        source = PrometheusSource(kind="prometheus", deploy=wanted, interval_s=1.0)
        through = source.access_by(connection)
        client = Client(DirectAdapter(through))
        facts = looked_over(client)
        eventually(lambda: len(client.api("/api/v1/query", query="up == 1")["result"]) == 2, within_s=40)
        own, other, begin_s = tmp_path / "kubelet", tmp_path / "prometheus", time.time()
        kubelet = KubeletSource(kind="kubelet", interval_s=1.0, timeout_s=1.0, kubelet_interval_s=2.0)
        with (
            collecting(KubeletPlan.of(kubelet, 1.0, Access.of(connection), app, begin_s, own)),
            collecting(TailPlan.of(source, 1.0, begin_s, other, through)),
        ):
            for _ in range(6):
                burnt(cluster, app)
                time.sleep(2)

    assert (facts.version, facts.way, facts.retention_s) == ("3.16.0", "remote-read", 7200.0)
    ours, theirs = (read_series(own), read_samples(own)), (read_series(other), read_samples(other))
    (mine,), (its,) = (of(series, REQUESTS, "service", route="burn") for series, _ in (ours, theirs))
    assert max(values(ours[1], mine).values()) == max(values(theirs[1], its).values()) == 6.0
    (mine,), (its,) = (of(series, CPU, "container") for series, _ in (ours, theirs))
    a, b = values(ours[1], mine), values(theirs[1], its)
    shared = a.keys() & b.keys()
    assert len(shared) >= 3, "both keep cAdvisor's own time stamps"
    assert [a[at] for at in shared] == [b[at] for at in shared]
