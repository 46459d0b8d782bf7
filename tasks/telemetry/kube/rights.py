"""What the login that records needs to be allowed, by source: for preflights, plans and the Roles that would do."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.kube.labels import run_labels
from tasks.kube.permission import Permission
from tasks.telemetry.config import DEPLOYED, DeployedPrometheus, KubeletSource, PrometheusSource
from tasks.telemetry.kube.deployment import Manifest, Placed, its_rights, manifests
from tasks.telemetry.kube.workloads import KINDS

LOOK = ("list", "watch")
PUT, PUT_WIDE = ("get", "list", "create", "patch", "delete"), ("list", "create", "patch", "delete")
WIDE = (
    "nodes/proxy opens every kubelet to whoever has it: all pods' logs and programs, in all namespaces. "
    "telemetry.sources[0].containers: none does without it, and without CPU and memory of containers"
)
GIVEN = (
    "a ClusterRole of the run gives its Prometheus {right}, for the nodes of the whole cluster. "
    "telemetry.sources[0].deploy.cadvisor: none does without it, and without CPU and memory of containers"
)
"""What a plan has to say about it."""


def needed(source: KubeletSource | PrometheusSource, namespace: str) -> tuple[Permission, ...]:
    """
    What recording by *source* asks of the API server; *namespace* is the app's.

    Pods, workloads and events are watched whatever the source is.
    """
    own = _kubelet(source, namespace) if isinstance(source, KubeletSource) else _prometheus(source, namespace)
    return (*_watched(namespace), *own)


def made(source: KubeletSource | PrometheusSource, namespace: str, run: str = "any") -> tuple[Manifest, ...]:
    """The objects that *source* puts into the cluster for *run* and the app in *namespace*, for no length; none but for ``deploy``."""
    if not isinstance(source, PrometheusSource) or source.deploy is None:
        return ()
    return manifests(source.deploy, Placed(namespace, source.interval_s, planned_s=0.0, labels=run_labels(run, "telemetry"), run=run))


def wide(source: KubeletSource | PrometheusSource) -> str | None:
    """What is to be said of rights that reach beyond the namespaces named; None: there are none."""
    if isinstance(source, KubeletSource):
        return WIDE if source.containers != "none" else None
    if source.deploy is None or source.deploy.cadvisor == "none":
        return None
    return GIVEN.format(right="nodes/proxy" if source.deploy.cadvisor == "api-server" else "nodes/metrics")


def _watched(namespace: str) -> Iterator[Permission]:
    kinds = [("", "pods"), ("", "events"), *(("apps", resource) for resource in KINDS.values())]
    return (Permission(verb, group, resource, namespace=namespace) for group, resource in kinds for verb in LOOK)


def _kubelet(source: KubeletSource, namespace: str) -> tuple[Permission, ...]:
    pages = Permission("get", "", "pods", "proxy", namespace)
    return (pages,) if source.containers == "none" else (pages, Permission("get", "", "nodes", "proxy"))


def _prometheus(source: PrometheusSource, namespace: str) -> tuple[Permission, ...]:
    """To ask it by the proxy of its service: remote read is a POST, which is a ``create``; and to put it there, where it is not."""
    service = source.service if source.deploy is None else f"{source.deploy.namespace}/{DEPLOYED}"
    if service is None:
        return ()
    place, _, name = service.partition("/")
    asked = tuple(Permission(verb, "", "services", "proxy", place, name) for verb in ("get", "create"))
    return asked if source.deploy is None else (*asked, *_to_put(source, source.deploy, namespace))


def _to_put(source: PrometheusSource, wanted: DeployedPrometheus, namespace: str) -> Iterator[Permission]:
    """Its objects, and its own rights too: nobody can give away what he has not."""
    for one in made(source, namespace):
        group, where = str(one["apiVersion"]).rpartition("/")[0], one["metadata"].get("namespace")
        for verb in PUT if where else PUT_WIDE:
            yield Permission(verb, group, f"{one['kind'].lower()}s", namespace=where)
    yield from its_rights(wanted, namespace)
