"""What can be told of a cluster's nodes from what the API shows of them, and what cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tasks.cluster.kube.finding import Finding
from tasks.kube.quantity import number

PRESSURES = ("DiskPressure", "MemoryPressure", "PIDPressure")
_CGROUP = re.compile(r"^kubelet_cgroup_version(?:\{[^}]*\})? (\d+)", re.MULTILINE)
_OVER = ("Succeeded", "Failed")


def node_findings(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Which are ready, under pressure, and what they run."""
    ready = [node for node in nodes if is_ready(node)]
    lost = sorted(str(node["metadata"]["name"]) for node in nodes if node not in ready)
    if not ready:
        yield Finding("nodes", "fail", f"none of {len(nodes)} nodes takes pods", "kubectl describe nodes")
        return
    text = f"{len(ready)} of {len(nodes)} nodes take pods"
    yield Finding("nodes", "warn", f"{text}; not: {', '.join(lost)}", "kubectl describe nodes") if lost else Finding("nodes", "ok", text)
    pressed = [f"{node['metadata']['name']} has {name}" for node in ready for name in PRESSURES if _holds(node, name)]
    if pressed:
        yield Finding(
            "pressure", "warn", f"{'; '.join(pressed)}: pods may be evicted while a run goes on", "free what is short on the node"
        )
    yield Finding("runtime", "ok", "; ".join(sorted({_runtime(node) for node in ready})))


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether new pods are put there."""
    return _holds(node, "Ready") and not (node.get("spec") or {}).get("unschedulable")


def _holds(node: Mapping[str, Any], name: str) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == name and one.get("status") == "True" for one in conditions)


def _runtime(node: Mapping[str, Any]) -> str:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    words = (info.get(name, "?") for name in ("containerRuntimeVersion", "kernelVersion", "architecture", "kubeletVersion"))
    runtime, kernel, architecture, kubelet = words
    return f"{runtime}, kernel {kernel} ({architecture}), kubelet {kubelet}"


def cgroup_version(metrics: str) -> int | None:
    """The version of control groups, from a kubelet's own metrics; None when it does not say."""
    found = _CGROUP.search(metrics)
    return int(found[1]) if found else None


def requests_of(pod_spec: Mapping[str, Any]) -> dict[str, float]:
    """CPU (cores) and memory (bytes) that a pod asks for: of its containers together, or of the largest init container."""
    return {name: max(_sum(pod_spec.get("containers"), name), _most(pod_spec.get("initContainers"), name)) for name in ("cpu", "memory")}


def _asked(container: Mapping[str, Any], name: str) -> float:
    """A limit counts as a request where no request is given, as the API server sees it."""
    resources = container.get("resources") or {}
    return number((resources.get("requests") or {}).get(name, (resources.get("limits") or {}).get(name, 0))) or 0.0


def _sum(containers: Iterable[Mapping[str, Any]] | None, name: str) -> float:
    return sum(_asked(one, name) for one in containers or ())


def _most(containers: Iterable[Mapping[str, Any]] | None, name: str) -> float:
    return max((_asked(one, name) for one in containers or ()), default=0.0)


def wanted_requests(manifests: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """CPU (cores) and memory (bytes) that all pods of *manifests* ask for together; a DaemonSet counts once."""
    total = {"cpu": 0.0, "memory": 0.0}
    for one in manifests:
        spec = one.get("spec") or {}
        pod = spec if one.get("kind") == "Pod" else (spec.get("template") or {}).get("spec")
        copies = spec.get("replicas", 1) if one.get("kind") in ("Deployment", "StatefulSet") else spec.get("parallelism", 1)
        for name, value in requests_of(pod).items() if isinstance(pod, Mapping) else ():
            total[name] += value * copies
    return total


def room(nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]] | None, wanted: Mapping[str, float]) -> Finding:
    """Whether what is *wanted* fits on the ready *nodes* beside what *pods* ask for; None: others' pods cannot be seen."""
    ready = {str(node["metadata"]["name"]): (node.get("status") or {}).get("allocatable") or {} for node in nodes if is_ready(node)}
    free = {name: sum(number(one.get(name)) or 0.0 for one in ready.values()) for name in ("cpu", "memory")}
    for pod in pods or ():
        spec = pod.get("spec") or {}
        if spec.get("nodeName") in ready and (pod.get("status") or {}).get("phase") not in _OVER:
            for name, value in requests_of(spec).items():
                free[name] -= value
    text = f"{free['cpu']:.1f} cores and {free['memory'] / 2**30:.1f} GiB can be asked for"
    text += "" if pods is not None else ", less what pods of others have (they cannot be seen)"
    text += f"; the plan asks for {wanted['cpu']:.1f} and {wanted['memory'] / 2**30:.1f}" if any(wanted.values()) else ""
    if any(wanted[name] > free[name] for name in free):
        return Finding("room", "fail", text, "ask for less in the app's resources, or add a node")
    return Finding("room", "ok", text)
