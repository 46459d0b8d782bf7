"""
The pod that acts on a target's node: for network and processes of a pod, which the API cannot reach.

It is privileged and sees the node's processes, so it is there only while a fault needs it, and only where that was allowed. Its
program is :mod:`tasks.faults.kube.inside.node`; what it is told is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.base.errors import PreflightError
from tasks.faults.kube.inner import mark_of
from tasks.faults.kube.kind import ClusterAim, Moves
from tasks.faults.kube.naming import fault_name
from tasks.faults.kube.programs import program
from tasks.faults.kube.steps import Delete, Start
from tasks.faults.kube.target import Found, Object, name_of, running_id, uid_of
from tasks.kube.labels import RUN

CONTAINER = "node"
CLEANER = "-clean"
"""Ends the name of a pod that only takes back what another has left."""
GRACE_S = 15
START_S = 60
"""Longest time from creation to the act, the image's way to the node included."""
LATE_S = 30
"""After its end, the kubelet ends it."""


def service_ports(found: Found) -> tuple[int, ...]:
    """The ports of the target's containers that Services lead to, in ascending order."""
    named = {
        port["name"]: port["containerPort"]
        for pod in found.pods
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if "name" in port
    }
    wanted = [port.get("targetPort", port["port"]) for service in found.services for port in service["spec"].get("ports") or ()]
    return tuple(sorted({int(named.get(port, port)) for port in wanted if port in named or str(port).isdigit()}))


def network_problems(found: Found) -> list[str]:
    """What a fault of the network needs to know of its target."""
    problems = [] if service_ports(found) else [f"no Service leads to a port of {found.target.name}"]
    for pod in found.pods:
        if ":" in str(pod.get("status", {}).get("podIP", "")):
            problems.append(f"pod {name_of(pod)} has an IPv6 address, and the node's pod knows IPv4 alone")
        if pod["spec"].get("hostNetwork"):
            problems.append(f"pod {name_of(pod)} uses its node's own network: all of the node would be hit")
    return problems


def on_nodes(aim: ClusterAim, order: Mapping[str, Any]) -> Moves:
    """
    One pod for each pod of the target, told *order* and which container is meant.

    Raises:
        PreflightError: Such pods are not allowed, or the target's container does not run.
    """
    starts = tuple(Start(node_pod(aim, pod, place, order)) for place, pod in enumerate(aim.found.pods))
    return Moves(starts, tuple(Delete(start.ref, grace_s=GRACE_S) for start in starts))


def node_pod(aim: ClusterAim, pod: Object, place: int, order: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest for the *place*-th pod of the target; raises like :func:`on_nodes`."""
    if aim.node is None:
        raise PreflightError(
            "this fault needs a privileged pod on the target's node, and that is not allowed", next_step="set cluster.node_helper: true"
        )
    container = str(aim.found.container(pod)["name"])
    running = running_id(pod, container)
    if running is None:
        raise PreflightError(f"the container {container} of pod {name_of(pod)} does not run: nothing would be hit")
    told = {
        "pod": [uid_of(pod), uid_of(pod).replace("-", "_")],  # as either way of naming control groups has it
        "container": running,
        "mark": mark_of(aim.fault),
        "seconds": aim.duration_s,
        "placebo": aim.placebo,
        **order,
    }
    name = f"{fault_name(aim.node.labels[RUN], aim.fault)}-n{place}"
    metadata = {"name": name, "namespace": aim.found.namespace, "labels": dict(aim.node.labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec(aim.node.image, str(pod["spec"]["nodeName"]), told)}


def cleaner(started: Mapping[str, Any]) -> dict[str, Any]:
    """A pod that removes what *started* may have left, and says whether anything remains."""
    container = started["spec"]["containers"][0]
    told = {**json.loads(container["args"][0]), "mode": "clean", "seconds": 0.0}
    spec = _spec(container["image"], started["spec"]["nodeName"], told)
    metadata = started["metadata"]
    kept = {"name": f"{metadata['name']}{CLEANER}", "namespace": metadata["namespace"], "labels": metadata["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec}


def _spec(image: str, node: str, told: Mapping[str, Any]) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", program("node")],
        "args": [json.dumps(told, separators=(",", ":"))],
        "securityContext": {"privileged": True, "runAsUser": 0},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
    }
    return {
        "nodeName": node,
        "hostPID": True,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": round(float(told["seconds"])) + START_S + LATE_S,
        "terminationGracePeriodSeconds": GRACE_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
