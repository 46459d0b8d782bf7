"""
Five thousand pods, listed page by page and watched, over an API server in memory that runs in a process of its own.

``python -m tests.bench.many_pods --serve COUNT KUBECONFIG`` serves so many until its standard input ends;
``python -m tests.bench.many_pods --read KUBECONFIG HOW TIMES`` reads them, in a process whose peak of memory is its own, and
prints what it took as JSON.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.rows import Goal, Peer, Row, made
from tests.bench.stopwatch import ROUNDS, machine, peak_rss_bytes, versions

MANY, FEW = 5000, 500
PATH = "/api/v1/pods"
GOALS = {
    "kube.pods": Goal("<=", 1.0, of="ratio"),
    "kube.pods.rss": Goal("<=", 300e6),
    "kube.pods.growth_10x": Goal("<=", 11.0),
    "kube.pods.watch": None,
    "kube.pods.watch.rss": Goal("<=", 300e6),
}


def pod(number: int) -> dict[str, Any]:
    """A pod as a real server shows one: about 4 kB, a third of it about who manages which field."""
    name = f"service-{number % 40:02d}-7d9f8c6b5f-{number:05d}"
    probe = {"httpGet": {"path": "/health", "port": 80, "scheme": "HTTP"}, "periodSeconds": 3, "timeoutSeconds": 1, "failureThreshold": 3}
    fields = {f"f:field-{place}": {".": {}, "f:name": {}, "f:value": {}} for place in range(30)}
    started = "2026-01-01T00:00:00Z"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": f"shop-{number % 10}",
            "labels": {"app": f"service-{number % 40:02d}", "pod-template-hash": "7d9f8c6b5f", "tidegauge.dev/run": "r1"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "80"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name[:-6], "uid": "-", "controller": True}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "time": started, "fieldsV1": {"f:status": fields}}],
        },
        "spec": {
            "nodeName": f"node-{number % 50}",
            "containers": [
                {
                    "name": "service",
                    "image": "tidegauge.local/shop:1",
                    "env": [{"name": f"VARIABLE_{place}", "value": "some value"} for place in range(8)],
                    "resources": {"limits": {"cpu": "300m", "memory": "120Mi"}, "requests": {"cpu": "100m", "memory": "60Mi"}},
                    "readinessProbe": probe,
                    "livenessProbe": probe,
                }
            ],
            "tolerations": [{"key": f"node.kubernetes.io/{word}", "operator": "Exists"} for word in ("not-ready", "unreachable")],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.1.{number // 250}.{number % 250}",
            "conditions": [{"type": f"Condition{place}", "status": "True", "lastTransitionTime": started} for place in range(5)],
            "containerStatuses": [
                {
                    "name": "service",
                    "ready": True,
                    "restartCount": 1,
                    "image": "tidegauge.local/shop:1",
                    "imageID": "sha256:0",
                    "state": {"running": {"startedAt": started}},
                }
            ],
        },
    }


def serve(count: int, kubeconfig: Path) -> None:
    """Have *count* pods, and say ``ready``."""
    from tests.kube.fake_api import FakeApi

    with FakeApi([f"shop-{number}" for number in range(10)]) as api:
        for number in range(count):
            api.put(pod(number))
        api.objects.history.clear()
        api.kubeconfig(kubeconfig)
        print("ready", flush=True)
        sys.stdin.read()


def listed(kubeconfig: str) -> Callable[[], int]:
    """Ours: restarts of all pods, counted while they come."""
    from tasks.kube.access import KubeAccess
    from tasks.kube.client import Kube

    kube = Kube.connect(KubeAccess(kubeconfig))
    return lambda: sum(one["status"]["containerStatuses"][0]["restartCount"] for one in kube.items(PATH))


def watched(kubeconfig: str) -> Callable[[], int]:
    """Ours: the same by a watch that ends when all were told."""
    from tasks.kube.access import KubeAccess
    from tasks.kube.client import Kube

    kube = Kube.connect(KubeAccess(kubeconfig))
    count = len([1 for _ in kube.items(PATH)])

    def restarts() -> int:
        told = itertools.islice(kube.watch(PATH, stop=lambda: False), count)
        return sum(event.object["status"]["containerStatuses"][0]["restartCount"] for event in told)

    return restarts


def typed(kubeconfig: str) -> Callable[[], int]:
    """The peer's: pages of typed objects."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    api = client.CoreV1Api()

    def restarts() -> int:
        found, token = 0, None
        while True:
            page = api.list_pod_for_all_namespaces(limit=500, _continue=token)
            found += sum(one.status.container_statuses[0].restart_count for one in page.items)
            token = page.metadata._continue
            if not token:
                return found

    return restarts


WAYS = {"list": listed, "watch": watched, "typed": typed}


def read(kubeconfig: str, how: str, times: int) -> dict[str, Any]:
    """Read all pods so many times, the connection standing: what one time took, and the sum that must be right."""
    act = WAYS[how](kubeconfig)
    cpu_s = time.process_time()
    found = {act() for _ in range(times)}
    return {"cpu_s": (time.process_time() - cpu_s) / times, "found": found.pop(), "same": not found, "rss_bytes": peak_rss_bytes()}


@contextmanager
def serving(count: int) -> Iterator[str]:
    """A server with *count* pods; the path of its kubeconfig."""
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place, "kubeconfig"))
        argv = [sys.executable, "-m", "tests.bench.many_pods", "--serve", str(count), path]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield path


def taken(path: str, how: str, times: int = 1) -> dict[str, float]:
    """Medians of several fresh processes that read so many *times*; ``sound``: whether each found the same."""
    argv = [sys.executable, "-m", "tests.bench.many_pods", "--read", path, how, str(times)]
    said = [json.loads(subprocess.run(argv, capture_output=True, check=True).stdout) for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in said) for name in said[0]} | {
        "sound": all(one["same"] and one["found"] == said[0]["found"] for one in said)
    }


def measure(only: frozenset[str]) -> Iterator[Row]:
    """Processor time (the server is another process), memory, and how both grow."""
    with serving(FEW) as path:
        few = taken(path, "list", MANY // FEW)
    with serving(MANY) as path:
        many, watch, peer = (taken(path, how) for how in ("list", "watch", "typed"))
    sound = all(one["sound"] and one["found"] == MANY for one in (many, watch)) and few["found"] == FEW
    call = f"{versions('kubernetes')}: CoreV1Api().list_pod_for_all_namespaces(limit=500), all pages"
    figures = {
        "kube.pods": (many["cpu_s"], "cpu s", Peer(call, peer["cpu_s"], peer["found"] == many["found"])),
        "kube.pods.rss": (many["rss_bytes"], "bytes", Peer(call, peer["rss_bytes"], peer["found"] == many["found"])),
        "kube.pods.growth_10x": (many["cpu_s"] / few["cpu_s"], "x", None),
        "kube.pods.watch": (watch["cpu_s"], "cpu s", None),
        "kube.pods.watch.rss": (watch["rss_bytes"], "bytes", None),
    }
    for name, (value, unit, against) in figures.items():
        if name in only:
            yield made(name, value, unit, machine=machine(), goal=GOALS[name], peer=against, sound=sound)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(read(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
