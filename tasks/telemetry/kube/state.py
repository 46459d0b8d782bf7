"""What pods and workloads are, as samples under the names of kube-state-metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tasks.telemetry.kube.pods import ContainerView, PodView
from tasks.telemetry.kube.workloads import WorkloadView

KUBERNETES, STATE_JOB = "kubernetes", "state"
"""Service of the looks at how pods and workloads are, and job of what they tell."""
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")


class Told(NamedTuple):
    """One value of a series; its labels are those beside the workload and the replica."""

    name: str
    labels: Mapping[str, str]
    value: float


def pod_state(pod: PodView) -> Iterator[Told]:
    """Phase, readiness, restarts and limits."""
    yield Told("kube_pod_status_ready", {"condition": "true"}, float(pod.ready))
    yield Told("kube_pod_created", {}, pod.created_s)
    for phase in PHASES:
        yield Told("kube_pod_status_phase", {"phase": phase}, float(pod.phase == phase))
    for one in pod.containers:
        yield from _container_state(one)


def _container_state(one: ContainerView) -> Iterator[Told]:
    of = {"container": one.name}
    yield Told("kube_pod_container_status_restarts_total", of, float(one.restarts))
    yield Told("kube_pod_container_status_ready", of, float(one.ready))
    yield Told("kube_pod_container_status_running", of, float(one.running))
    if one.waiting is not None:
        yield Told("kube_pod_container_status_waiting_reason", {**of, "reason": one.waiting}, 1.0)
    if one.ended is not None:
        yield Told("kube_pod_container_status_last_terminated_reason", {**of, "reason": one.ended}, 1.0)
    if one.cpu_limit is not None:
        yield Told("kube_pod_container_resource_limits", {**of, "resource": "cpu", "unit": "core"}, one.cpu_limit)
    if one.memory_limit is not None:
        yield Told("kube_pod_container_resource_limits", {**of, "resource": "memory", "unit": "byte"}, one.memory_limit)


_NAMES = {
    "Deployment": {
        "kube_deployment_spec_replicas": "wanted",
        "kube_deployment_status_replicas": "replicas",
        "kube_deployment_status_replicas_ready": "ready",
        "kube_deployment_status_replicas_available": "available",
        "kube_deployment_status_replicas_unavailable": "unavailable",
        "kube_deployment_status_replicas_updated": "updated",
        "kube_deployment_metadata_generation": "generation",
        "kube_deployment_status_observed_generation": "observed",
    },
    "StatefulSet": {
        "kube_statefulset_replicas": "wanted",
        "kube_statefulset_status_replicas": "replicas",
        "kube_statefulset_status_replicas_ready": "ready",
        "kube_statefulset_status_replicas_available": "available",
        "kube_statefulset_status_replicas_updated": "updated",
        "kube_statefulset_metadata_generation": "generation",
        "kube_statefulset_status_observed_generation": "observed",
    },
    "DaemonSet": {
        "kube_daemonset_status_desired_number_scheduled": "wanted",
        "kube_daemonset_status_current_number_scheduled": "replicas",
        "kube_daemonset_status_number_ready": "ready",
        "kube_daemonset_status_number_available": "available",
        "kube_daemonset_status_number_unavailable": "unavailable",
        "kube_daemonset_status_updated_number_scheduled": "updated",
        "kube_daemonset_metadata_generation": "generation",
        "kube_daemonset_status_observed_generation": "observed",
    },
}


def workload_state(one: WorkloadView) -> Iterator[Told]:
    """Replicas and generations; nothing of a kind that is not watched."""
    for name, attribute in _NAMES.get(one.kind, {}).items():
        yield Told(name, {}, float(getattr(one, attribute)))
