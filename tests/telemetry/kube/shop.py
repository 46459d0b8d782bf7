"""A little app in the fake API server: pods that run, pages that count who asked, and a kubelet that looks now and then."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.prometheus.access import Access
from tests.kube.fake_api import FakeApi
from tests.kube.trouble import Seen

NAMESPACE = "shop"
LOOK_S = 0.25
"""The kubelet looks at a container so often."""


@dataclass
class Shop:
    """The app, as the cluster has it now."""

    api: FakeApi
    served: dict[str, list[float]] = field(default_factory=dict)
    """What each pod's page has shown, in order."""
    looked: dict[str, dict[int, float]] = field(default_factory=dict)
    """What the kubelet told of each pod's CPU, by stamp."""
    born_s: dict[str, float] = field(default_factory=dict)
    uids: int = 0

    def __post_init__(self) -> None:
        """A node with two pages."""
        for page in ("cadvisor", "resource"):
            self.api.texts[f"/api/v1/nodes/node1/proxy/metrics/{page}"] = getattr(self, page)

    def workload(self, name: str = "front", *, kind: str = "Deployment", wanted: int = 1) -> None:
        """A workload that wants so many."""
        counts = {"replicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted, "observedGeneration": 1}
        metadata = {"name": name, "namespace": NAMESPACE, "generation": 1}
        spec = {"replicas": wanted, "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}}
        self.api.put({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": counts})

    def pod(
        self, name: str, *, workload: str = "front", running: bool = True, leaving: bool = False, restarts: int = 0, **labels: str
    ) -> None:
        """A pod, made or changed."""
        known = self.api.object("Pod", name, NAMESPACE)
        if known is None:
            self.uids += 1
            self.born_s[name] = time.time()
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": workload, "pod-template-hash": "f00", **labels},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "80"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{workload}-f00", "controller": True, "uid": "r"}],
            "creationTimestamp": f"2026-01-01T00:00:{self.uids:02d}Z",
        }
        if leaving:  # it is kept until what it still does is done
            metadata |= {"deletionTimestamp": "2026-01-01T00:01:00Z", "finalizers": ["tidegauge.test/done"]}
        state = {"running": {}} if running else {"waiting": {"reason": "ContainerCreating"}}
        status = {
            "phase": "Running" if running else "Pending",
            "conditions": [{"type": "Ready", "status": str(running)}],
            "containerStatuses": [{"name": "c", "ready": running, "restartCount": restarts, "state": state}],
        }
        spec = {"nodeName": "node1", "containers": [{"name": "c", "image": "i:1"}]}
        self.api.texts[page_of(name)] = lambda _: self._page(name)
        self.api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})

    def remove(self, name: str) -> None:
        """The pod is gone."""
        self.api.texts.pop(page_of(name))
        there = self.api.object("Pod", name, NAMESPACE)
        assert there is not None
        if "finalizers" in there["metadata"]:
            self.api.put({**there, "metadata": {**there["metadata"], "finalizers": []}})
        else:
            self.api.remove("Pod", name, NAMESPACE)

    def event(self, name: str, *, count: int = 1, at_s: float | None = None) -> None:
        """An event, or once more."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s or time.time()))
        self.api.put(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": NAMESPACE, "uid": name},
                "involvedObject": {"kind": "Pod", "name": "front-f00-aaaaa"},
                "reason": "BackOff",
                "type": "Warning",
                "message": "it fell",
                "count": count,
                "firstTimestamp": when,
                "lastTimestamp": when,
            }
        )

    def _page(self, name: str) -> str:
        seen = self.served.setdefault(name, [])
        seen.append(float(len(seen) + 1))
        return f"requests_total {len(seen)}\n"

    def cadvisor(self, _: Seen) -> str:
        """One row a pod, as of the last time that the kubelet looked."""
        stamp_ms = int(time.time() / LOOK_S) * round(1000 * LOOK_S)
        rows = []
        for pod in self.api.all("Pod", NAMESPACE):
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            value = round(max(0.0, stamp_ms / 1000 - self.born_s[name]), 3)
            self.looked.setdefault(name, {})[stamp_ms] = value
            labels = f'container="c",id="/kubepods/pod{uid}/abc",image="i",name="abc",namespace="{NAMESPACE}",pod="{name}"'
            rows.append(f"container_cpu_usage_seconds_total{{{labels}}} {value} {stamp_ms}\n")
        return "".join(rows) + "machine_cpu_cores 2\n"

    def resource(self, _: Seen) -> str:
        """The node alone."""
        return f"node_cpu_usage_seconds_total 5 {int(time.time() * 1000)}\n"

    def plan(self, out: Path, interval_s: float = 0.15, **further: Any) -> KubeletPlan:
        """A plan for it."""
        token = out.parent / f"{out.name}-token"
        token.write_text(str(self.api.bearer))
        further = {"kubelet_interval_s": interval_s, "containers": "cadvisor", "begin_s": time.time(), **further}
        return KubeletPlan(
            out,
            Access(self.api.url, token_file=str(token)),
            NAMESPACE,
            interval_s=interval_s,
            timeout_s=interval_s,
            flush_s=interval_s,
            **further,
        )


def page_of(pod: str) -> str:
    """The path to a pod's page."""
    return f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:80/proxy/metrics"


def journal(out: Path, *kinds: str) -> list[dict[str, Any]]:
    """The lines of these kinds."""
    if not (out / "kubernetes.jsonl").exists():
        return []
    lines = [json.loads(line) for line in (out / "kubernetes.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] in kinds]
