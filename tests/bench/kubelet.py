"""What watching a cluster costs: the collector and the API server while twelve pods are scraped every five seconds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.telemetry.config import KubeletSource, TelemetryConfig
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.prometheus.access import Access
from tasks.telemetry.runner import Collector
from tests.bench.rows import Goal, Row, made
from tests.bench.stopwatch import ROUNDS, machine

PODS, NAMESPACE, IMAGE = 12, "telemetry-bench", "tidegauge.test/demo:1"
READY_S, WARMUP_S, WINDOW_S = 180.0, 10.0, 20.0
GOALS = {"kubelet.scrape.cpu": Goal("<=", 0.05), "kubelet.scrape.rss": Goal("<", 120e6)}
UNITS = {
    "kubelet.scrape.cpu": "cores",
    "kubelet.scrape.rss": "bytes",
    "kubelet.scrape.api_cpu": "cores",
    "kubelet.scrape.received": "bytes/s",
    "kubelet.scrape.samples": "samples/s",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """In one window."""

    ours: float
    """Cores of the collector."""
    server: float | None
    """Cores of the API server; None where it is no process of this machine."""
    bytes_per_s: float
    samples_per_s: float


def cluster() -> tuple[Path, int | None] | None:
    """Kubeconfig of the tests' own cluster and the pid of its API server; None: it is not up."""
    ran = subprocess.run([sys.executable, "-m", "tests.live.harness", "status"], capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout) if ran.returncode == 0 and ran.stdout.strip() else {}
    return (Path(found["kubeconfig"]), found["processes"].get("apiserver")) if found.get("up") else None


def manifest() -> dict[str, object]:
    """Twelve pods with a metrics page."""
    probe = {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1}
    container = {"name": "front", "image": IMAGE, "imagePullPolicy": "Never", "readinessProbe": probe}
    template = {
        "metadata": {"labels": {"app": "front"}, "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "80"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    spec = {"replicas": PODS, "selector": {"matchLabels": {"app": "front"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "front", "namespace": NAMESPACE}, "spec": spec}


@contextmanager
def twelve_pods(kube: Kube) -> Iterator[None]:
    """Ready, for the time inside."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kube.create(space)
    try:
        kube.create(manifest())
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/front"
        until_s = time.monotonic() + READY_S
        while (kube.get(path).get("status") or {}).get("readyReplicas") != PODS:
            if time.monotonic() > until_s:
                raise OSError(f"{PODS} pods were not ready within {READY_S:g} s")
            time.sleep(0.5)
        yield
    finally:
        from tasks.kube.refs import ObjectRef

        kube.delete(ObjectRef.of(space))


def spent_s(pid: int | None) -> float:
    """Processor seconds of a process so far; 0 for none."""
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def window(pid: int | None, server: int | None, came: Callable[[], tuple[int, int]]) -> Cost:
    """What was used in a while; *came* tells bytes and samples so far."""
    before, told, begun_s = (spent_s(pid), spent_s(server)), came(), time.monotonic()
    time.sleep(WINDOW_S)
    length_s = time.monotonic() - begun_s
    api = None if server is None else (spent_s(server) - before[1]) / length_s
    received, samples = ((now - then) / length_s for now, then in zip(came(), told, strict=True))
    return Cost((spent_s(pid) - before[0]) / length_s, api, received, samples)


def recording(kube: Kube, server: int | None, folder: Path) -> tuple[Cost, int]:
    """What a while of recording into *folder* costs, and the collector's resident memory."""
    access = Access.of(kube.connection(folder / "connection"))
    source, out = KubeletSource(kind="kubelet"), folder / "recording"
    collector = Collector.start(KubeletPlan.of(source, TelemetryConfig().flush_s, access, NAMESPACE, time.time(), out))
    try:
        collector.ready(30)
        time.sleep(WARMUP_S)
        who = collector.process
        if who is None:
            raise OSError("the collector ended")

        def came() -> tuple[int, int]:
            told = json.loads((out / "collector.json").read_text())
            return int(told["kubelet"]["received_bytes"]), int(told["samples"])

        cost = window(who.pid, server, came)
    finally:
        status = collector.stop()
    if status.down or status.restarts:
        raise OSError(f"not all of it was scraped all the time: {status}")
    return cost, status.rss_bytes


def measured(kube: Kube, server: int | None, folder: Path) -> tuple[list[Cost], list[Cost], int]:
    """Windows without the collector and with it, in turn, and its largest resident memory."""
    idle, busy, rss = [], [], 0
    for number in range(ROUNDS):
        idle.append(window(None, server, lambda: (0, 0)))
        (folder / str(number)).mkdir()
        cost, resident = recording(kube, server, folder / str(number))
        busy.append(cost)
        rss = max(rss, resident)
    return idle, busy, rss


def measure(only: frozenset[str]) -> Iterator[Row]:
    """On the tests' own cluster, if it is up."""
    found = cluster()
    if found is None:
        print("kubelet.scrape: not measured: no cluster (python -m tests.live.harness up)", file=sys.stderr)
        yield from (made(name, None, UNITS[name], machine=machine(), goal=GOALS.get(name)) for name in UNITS if name in only)
        return
    kube = Kube.connect(KubeAccess(kubeconfig=str(found[0])))
    with tempfile.TemporaryDirectory() as folder, twelve_pods(kube):
        idle, busy, rss = measured(kube, found[1], Path(folder))
    api = None if found[1] is None else statistics.median((b.server or 0.0) - (a.server or 0.0) for a, b in zip(idle, busy, strict=True))
    figures = {
        "kubelet.scrape.cpu": statistics.median(one.ours for one in busy),
        "kubelet.scrape.rss": float(rss),
        "kubelet.scrape.api_cpu": api,
        "kubelet.scrape.received": statistics.median(one.bytes_per_s for one in busy),
        "kubelet.scrape.samples": statistics.median(one.samples_per_s for one in busy),
    }
    yield from (made(name, figures[name], UNITS[name], machine=machine(), goal=GOALS.get(name)) for name in UNITS if name in only)
