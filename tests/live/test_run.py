"""The whole way on a real Kubernetes: the command line, a document, a table; then killed in a fault, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import ROOT, Cluster, eventually
from tests.live.context import NAMES
from tests.live.own_images import own_names

NAMESPACE = NAMES.new("tidegauge-run")
FAULT_S = 15
DOCUMENT = """
version: 1
name: kubernetes-quick
seed: 7
cluster: {{provider: kubeconfig, kubeconfig: {kubeconfig}, namespace: {namespace}, node_proxy: true}}
app: {{kind: demo-shop}}
load:
  place: pods
  workers: 2
  users: {{shape: constant, users: 10}}
  journeys_per_user_per_s: 0.5
telemetry:
  sources: [{{kind: kubelet, interval_s: 1, timeout_s: 1, kubelet_interval_s: 2}}]
recordings:
  - {{name: training, role: training, duration_s: 40}}
  - {{name: calibration, role: calibration, duration_s: 30}}
  - {{name: faults, role: faults}}
faults:
  before_s: 25
  duration_s: {fault_s}
  quiet_s: [36, 38]
  settle_limit_s: 60
  min_placebo_ratio: 0.0
  placebos: 0
  trials: [{{kind: service_outage, target: user, intensity: 1.0}}]
features: {{profile: short, grid_s: 1, rate_window_s: 10}}
detectors: [robust_z]
evaluation: {{profile: short, false_alarms_per_day: 100}}
ranking: {{profile: short}}
"""


@pytest.fixture
def document(cluster: Cluster, tmp_path: Path) -> Path:
    """A short experiment on the session's cluster."""
    path = tmp_path / "quick.yaml"
    path.write_text(DOCUMENT.format(kubeconfig=cluster.kubeconfig, namespace=NAMESPACE, fault_s=FAULT_S))
    return path


def command(*words: str | Path) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "tidegauge", *map(str, words)]


def objects(cluster: Cluster) -> set[str]:
    """Everything of ours, and every namespace."""
    return {
        *cluster.kubectl("get", "namespaces", "-o", "name").split(),
        *cluster.kubectl("get", "all,configmaps,leases", "-A", "-l", "app.kubernetes.io/managed-by=tidegauge", "-o", "name").split(),
    }


@pytest.mark.images(own_names()["shop"], own_names()["locust"])
@pytest.mark.timeout(1200)
def test_a_run_on_a_cluster_ends_with_a_table_and_leaves_nothing(cluster: Cluster, document: Path, tmp_path: Path) -> None:
    """Three complete recordings in fresh deployments, an outage that users notice, a report; killed in a fault, it is over in time and removed."""
    before, store = objects(cluster), tmp_path / "store"
    ran = subprocess.run(command("run", document, "--store", store, "--json"), capture_output=True, text=True, check=False, cwd=ROOT)

    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout)
    assert [(one["name"], one["gaps"]) for one in told["recordings"]] == [("training", 0), ("calibration", 0), ("faults", 0)]
    assert [(one["kind"], one["outcome"]) for one in told["faults"]] == [("service_outage", "impact")]
    assert {one["name"] for one in told["detectors"]} >= {"robust_z", "random", "norm", "constant"}
    assert Path(told["report"]).is_file()
    assert objects(cluster) <= before  # what others left is just going

    _killed_in_a_fault(cluster, document, store)
    assert objects(cluster) <= before  # what others left is just going


def _killed_in_a_fault(cluster: Cluster, document: Path, store: Path) -> None:
    """Recorded again, killed -9 while nobody serves users' data: the cluster itself ends it; ``down`` removes the rest."""
    words = command("run", document, "--store", store, "--refresh", "recording:faults")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True) as run:
        try:
            eventually(lambda: _replicas(cluster) == 0, within_s=300)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    begun_s = time.monotonic()
    eventually(lambda: _replicas(cluster) == 1, within_s=2 * (FAULT_S + 10))
    reverted_s = time.monotonic() - begun_s
    down = subprocess.run(command("down", "--all", "--store", store), capture_output=True, text=True, check=False, cwd=ROOT)
    assert down.returncode == 0, down.stdout + down.stderr
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "live-run.json").write_text(json.dumps({"reverted_after_kill_s": round(reverted_s, 1), "fault_s": FAULT_S}) + "\n")


def _replicas(cluster: Cluster) -> int | None:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "json"))
    wanted = [one["spec"]["replicas"] for one in found["items"] if one["metadata"]["name"] == "user"]
    return wanted[0] if wanted else None
