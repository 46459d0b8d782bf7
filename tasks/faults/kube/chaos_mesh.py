"""
Chaos Mesh, where it is installed: its objects for the kinds that it covers, and when they are preferred.

An object ends by itself after its ``duration``, by the operator in the cluster; our guard removes it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tasks.faults.kube.kind import ClusterAim, Moves, Sight
from tasks.faults.kube.kinds.latency import FULL_MS
from tasks.faults.kube.kinds.loss import FULL_RATIO
from tasks.faults.kube.naming import fault_name
from tasks.faults.kube.steps import Create, Delete
from tasks.faults.kube.target import limit_of
from tasks.kube.labels import RUN
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef

API_VERSION = "chaos-mesh.org/v1alpha1"
HOG_WORKERS = 4
HOG_SHARE = 0.9
UNLIMITED_BYTES = 256 << 20
MIB = 1 << 20


def _kill(aim: ClusterAim) -> tuple[str, dict[str, Any]]:  # noqa: ARG001 -- every kind has the same signature
    return "PodChaos", {"action": "pod-kill", "mode": "one", "gracePeriod": 0}


def _latency(aim: ClusterAim) -> tuple[str, dict[str, Any]]:
    held_ms = 0 if aim.placebo else round(aim.intensity * FULL_MS)
    return "NetworkChaos", {"action": "delay", "mode": "all", "direction": "to", "delay": {"latency": f"{held_ms}ms"}}


def _loss(aim: ClusterAim) -> tuple[str, dict[str, Any]]:
    percent = 0.0 if aim.placebo else aim.intensity * FULL_RATIO * 100
    return "NetworkChaos", {"action": "loss", "mode": "all", "direction": "to", "loss": {"loss": f"{percent:g}", "correlation": "0"}}


def _cpu(aim: ClusterAim) -> tuple[str, dict[str, Any]]:
    load = 0 if aim.placebo else max(1, round(aim.intensity * 100))
    return "StressChaos", {"mode": "all", "stressors": {"cpu": {"workers": HOG_WORKERS, "load": load}}}


def _memory(aim: ClusterAim) -> tuple[str, dict[str, Any]]:
    limit = limit_of(aim.found.container(aim.found.pods[0]), "memory") or UNLIMITED_BYTES
    size = 0 if aim.placebo else round(aim.intensity * HOG_SHARE * limit / 2 / MIB)  # half of the limit: what is in use is not known
    return "StressChaos", {"mode": "all", "stressors": {"memory": {"workers": 1, "size": f"{size}MB"}}}


SPECS: Mapping[str, tuple[str, Callable[[ClusterAim], tuple[str, dict[str, Any]]]]] = {
    "pod_kill": ("PodChaos", _kill),
    "latency": ("NetworkChaos", _latency),
    "loss": ("NetworkChaos", _loss),
    "cpu_hog": ("StressChaos", _cpu),
    "memory_hog": ("StressChaos", _memory),
}
"""What it covers: the object's kind, and its specification but for whom and how long."""


def chosen(kind: str, served: frozenset[str]) -> bool:
    """Whether *kind* is Chaos Mesh's: where the API *served* the object that does it."""
    return kind in SPECS and SPECS[kind][0] in served


def mesh_rights(kind: str, namespace: str) -> tuple[Permission, ...]:
    """What its object needs; whoever lacks one of these goes another way."""
    group, resource = API_VERSION.partition("/")[0], SPECS[kind][0].lower()
    return tuple(Permission(verb, group, resource, namespace=namespace) for verb in ("get", "create", "delete"))


def rendered(kind: str, aim: ClusterAim, labels: Mapping[str, str]) -> dict[str, Any]:
    """The object for *kind*; *labels* are the fault's own."""
    name, spec = SPECS[kind][1](aim)
    found = aim.found
    selected = dict(((found.workload or {}).get("spec", {}).get("selector") or {}).get("matchLabels") or {})
    selector = {"namespaces": [found.namespace], "labelSelectors": selected}
    lasting = {} if spec.get("action") == "pod-kill" else {"duration": f"{max(1, round(aim.duration_s))}s"}
    containers = {"containerNames": [str(found.container(found.pods[0])["name"])]} if name == "StressChaos" else {}
    metadata = {"name": fault_name(labels[RUN], aim.fault), "namespace": found.namespace, "labels": dict(labels)}
    return {"apiVersion": API_VERSION, "kind": name, "metadata": metadata, "spec": {**spec, **containers, **lasting, "selector": selector}}


def mesh_moves(kind: str, aim: ClusterAim, labels: Mapping[str, str]) -> Moves:
    """Make the object, and remove it; in effect when it says that every target is hit."""
    manifest = rendered(kind, aim, labels)
    ref = ObjectRef.of(manifest)
    if kind == "pod_kill" and aim.placebo:
        return Moves((Create(manifest, pretend=True),))

    def effect(sight: Sight) -> bool:
        """The operator says so."""
        conditions = ((sight.objects.get(ref) or {}).get("status") or {}).get("conditions") or ()
        return any(one.get("type") == "AllInjected" and one.get("status") == "True" for one in conditions)

    return Moves((Create(manifest),), (Delete(ref),), effect, same_pods=kind != "pod_kill")
