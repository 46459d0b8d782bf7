"""Looking at a target: a few reads, nothing is written."""

from __future__ import annotations

from tasks.faults.kube.api import ClusterApi
from tasks.faults.kube.target import KINDS, Found, Object, Target, living, name_of
from tasks.kube.errors import KubeError
from tasks.kube.labels import selects
from tasks.kube.refs import ObjectRef


def look(api: ClusterApi, namespace: str, target: Target) -> Found:
    """
    The target as it stands now; its workload is None where there is none.

    Raises:
        KubeError: The API server says no, or does not answer.
    """
    workload = _workload(api, namespace, target.name)
    if workload is None:
        return Found(target, namespace, None)
    labels = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    if not labels:
        return Found(target, namespace, workload)
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = sorted(filter(living, api.items(f"/api/v1/namespaces/{namespace}/pods", labels=selector)), key=name_of)
    carried = workload["spec"]["template"]["metadata"].get("labels") or {}
    services = [one for one in api.items(f"/api/v1/namespaces/{namespace}/services") if selects(one["spec"].get("selector"), carried)]
    return Found(target, namespace, workload, tuple(pods), tuple(sorted(services, key=name_of)))


def _workload(api: ClusterApi, namespace: str, name: str) -> Object | None:
    """Of that name, of the first kind that there is; who has Deployments alone needs no right to look for others."""
    return next(filter(None, (api.find(ObjectRef("apps/v1", kind, namespace, name)) for kind in KINDS)), None)


def watched(found: Found, *, pods: bool) -> tuple[Object, ...]:
    """Everything whose state before a fault is kept: workload, Services and, where they live on, the pods."""
    every = [found.workload, *found.services, *(found.pods if pods else ())]
    return tuple(one for one in every if one is not None)


def pull_secrets(api: ClusterApi, namespace: str) -> tuple[str, ...]:
    """Names of what the namespace's usual account opens registries with; raises like :func:`look`."""
    account = api.find(ObjectRef("v1", "ServiceAccount", namespace, "default"))
    return tuple(str(one["name"]) for one in (account or {}).get("imagePullSecrets") or ())


def resizes_in_place(api: ClusterApi) -> bool:
    """Whether the API has ``pods/resize``; raises like :func:`look`."""
    return any(one.get("name") == "pods/resize" for one in api.get("/api/v1").get("resources") or ())


def served_kinds(api: ClusterApi, api_version: str) -> frozenset[str]:
    """The kinds that the API serves in a group and version; empty where it has no such group."""
    try:
        return frozenset(one["kind"] for one in api.get(f"/apis/{api_version}").get("resources") or ())
    except KubeError as error:
        if error.status == 404:
            return frozenset()
        raise
