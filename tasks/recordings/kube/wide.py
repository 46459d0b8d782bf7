"""The few objects of a run that belong to the whole cluster: the rights of a Prometheus that asks the kubelets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.base.errors import TidegaugeError
from tasks.cluster.kube.needs import Need
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.kube.removal import denied
from tasks.cluster.provider import Leftover
from tasks.kube.client import Kube
from tasks.kube.labels import run_selector
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef

API = "rbac.authorization.k8s.io/v1"
KINDS = {"ClusterRoleBinding": "clusterrolebindings", "ClusterRole": "clusterroles"}
"""In the order in which they are removed."""


def is_wide(manifest: Mapping[str, Any]) -> bool:
    """Whether *manifest* is in no namespace."""
    return manifest["kind"] in KINDS


def lacking(provider: KubeProvider, *, wide: bool) -> tuple[Need, ...]:
    """The rights that :func:`removed` takes and the login does not have. Changes nothing; raises KubeError."""
    return (*provider.lacking(), *(_lacking_wide(provider.kube, provider.bounds.run) if wide else ()))


def removed(provider: KubeProvider, *, wide: bool) -> list[Leftover]:
    """Remove everything of the provider's run, where there is some also that of the whole cluster; what is still there."""
    return [*provider.down(), *(_remove_wide(provider.kube, provider.bounds.run) if wide else ())]


def _lacking_wide(kube: Kube, run: str) -> Iterator[Need]:
    why = "rights of the whole cluster that a run has given to its Prometheus are removed"
    for plural in KINDS.values():
        look, remove = (Need(Permission(verb, API.partition("/")[0], plural), None, why) for verb in ("list", "delete"))
        if denied(kube, look):
            yield from (look, *([remove] if denied(kube, remove) else ()))
        elif (there := list(kube.items(f"/apis/{API}/{plural}", labels=run_selector(run)))) and denied(kube, remove, there):
            yield remove


def _remove_wide(kube: Kube, run: str) -> Iterator[Leftover]:
    """Remove those of *run*; what is still there. Does nothing the second time."""
    for kind, plural in KINDS.items():
        try:
            names = [one["metadata"]["name"] for one in kube.items(f"/apis/{API}/{plural}", labels=run_selector(run))]
            for name in names:
                kube.delete(ObjectRef(API, kind, None, name))
        except TidegaugeError as error:
            yield Leftover(kind, f"of run {run}", error.message)
