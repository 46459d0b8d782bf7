"""Somebody's objects with what makes them this run's: namespace, labels, image names, and where metrics are found. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import tidegauge
from tasks.app.config import ClusterApp
from tasks.app.kube.kinds import WORKLOADS, containers, in_order, inner, template_at
from tasks.app.kube.placement import SERVICE_LABEL, Manifest, Placement, scraped
from tasks.app.kube.reaching import metrics_port


def stamped(settings: ClusterApp, manifests: Sequence[Mapping[str, Any]], where: Placement) -> tuple[Manifest, ...]:
    """
    *manifests* as they are applied, in the order in which they are.

    Nothing else of them is changed: labels that they have stay, the pod label ``app`` included, since they may select by it.
    """
    found = [_stamped(settings, copy.deepcopy(dict(one)), where) for one in manifests]
    return tuple(sorted(found, key=in_order))


def _stamped(settings: ClusterApp, manifest: Manifest, where: Placement) -> Manifest:
    metadata = manifest["metadata"]
    metadata["namespace"] = where.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), **where.labels()}
    template = template_at(manifest)
    if template is not None:
        pod = manifest if not template else inner(manifest, template)
        if isinstance(pod, dict):
            _stamp_pod(settings, manifest, pod, where)
    for claim in inner(manifest, ("spec", "volumeClaimTemplates")) or ():
        told = claim.setdefault("metadata", {})  # the claims outlive their StatefulSet, and are removed by their labels
        told["labels"] = {**(told.get("labels") or {}), **where.labels()}
    return manifest


def _stamp_pod(settings: ClusterApp, manifest: Manifest, pod: dict[str, Any], where: Placement) -> None:
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **where.labels()}
    if manifest.get("kind") in WORKLOADS:
        name = str(manifest["metadata"]["name"])
        metadata["labels"] = {"app": name, **metadata["labels"], SERVICE_LABEL: name}
        metadata["annotations"] = {**_annotations(settings, manifest, name), **(metadata.get("annotations") or {})}
    for _, container in containers(pod.get("spec")):
        image = settings.images.get(str(container.get("name")))
        if image is not None and isinstance(container, dict):
            container["image"] = image.replace("{version}", tidegauge.__version__)


def _annotations(settings: ClusterApp, manifest: Manifest, name: str) -> Mapping[str, str]:
    workload = next((one for one in settings.workloads if one.name == name), None)
    port = None if workload is None else metrics_port(workload, manifest)
    return {} if workload is None or port is None else scraped(port, workload.metrics_path)
