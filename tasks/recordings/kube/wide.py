"""The few objects of a run that belong to the whole cluster: the rights of a Prometheus that asks the kubelets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.base.errors import TidegaugeError
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.provider import Leftover
from tasks.kube.client import Kube
from tasks.kube.labels import run_selector
from tasks.kube.refs import ObjectRef

API = "rbac.authorization.k8s.io/v1"
KINDS = {"ClusterRoleBinding": "clusterrolebindings", "ClusterRole": "clusterroles"}
"""In the order in which they are removed."""


def is_wide(manifest: Mapping[str, Any]) -> bool:
    """Whether *manifest* is in no namespace."""
    return manifest["kind"] in KINDS


def removed(provider: KubeProvider, *, wide: bool) -> list[Leftover]:
    """Remove everything of the provider's run, where there is some also that of the whole cluster; what is still there."""
    return [*provider.down(), *(_remove_wide(provider.kube, provider.bounds.run) if wide else ())]


def _remove_wide(kube: Kube, run: str) -> Iterator[Leftover]:
    """Remove those of *run*; what is still there. Does nothing the second time."""
    for kind, plural in KINDS.items():
        try:
            names = [one["metadata"]["name"] for one in kube.items(f"/apis/{API}/{plural}", labels=run_selector(run))]
            for name in names:
                kube.delete(ObjectRef(API, kind, None, name))
        except TidegaugeError as error:
            yield Leftover(kind, f"of run {run}", error.message)
