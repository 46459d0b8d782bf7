"""
The rights that a run needs, and why: what ``doctor`` tries, and what the documents in ``configs/rbac/`` grant.

The documents grant what any run may need; a run is asked for what its own document needs, which :mod:`tasks.recordings.kube.rights`
puts together.

Nothing here is a wildcard, and nothing of a run reaches beyond its namespace but what is asked for by name: reading nodes, the
kubelets (``node_proxy``), making the namespace itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.kinds import LEASE, MADE, NAMESPACE, OURS, POD, Kind
from tasks.kube.permission import Permission

MAKING = ("get", "list", "create", "patch", "delete")
RUN = "run"
NODES = "nodes"
NODES_PROXY = "nodes-proxy"
SETUP = "setup"


WHILE_IT_RUNS: tuple[tuple[str, str, str, tuple[str, ...], str], ...] = (
    ("", "pods", "", ("watch",), "restarts and readiness are watched"),
    ("apps", "deployments", "", ("watch",), "rollouts are watched"),
    ("apps", "statefulsets", "", ("list", "watch"), "rollouts are watched"),
    ("apps", "statefulsets", "", ("get", "patch"), "a target of faults may be a StatefulSet"),
    ("apps", "daemonsets", "", ("list", "watch"), "rollouts are watched"),
    ("apps", "replicasets", "", ("get", "watch"), "a pod belongs to the rollout of its replica set"),
    ("apps", "deployments", "scale", ("patch",), "a service is taken away, or gets more replicas, and back"),
    ("apps", "statefulsets", "scale", ("patch",), "a service is taken away, or gets more replicas, and back"),
    ("", "events", "", ("list", "watch"), "events are recorded"),
    ("", "pods", "log", ("get",), "why a pod does not start; what the load generator says"),
    ("", "pods", "proxy", ("get",), "metrics of the pods are read through the API server"),
    ("", "services", "proxy", ("get", "create"), "a Prometheus is asked, and the app is tried, through the API server"),
    ("", "pods", "exec", ("get", "create"), "faults that run a program in a container; results of the load generator"),
    ("", "pods", "resize", ("patch",), "CPU starvation without a restart"),
)
"""Group, resource, subresource, verbs, and what they are for."""


@dataclass(frozen=True, slots=True)
class Need:
    """A right, the document that grants it, and what is not possible without it."""

    permission: Permission
    document: str | None
    """Name of a file in ``configs/rbac/``; None: none of them grants it."""
    why: str
    optional: bool = False
    """Whether a run goes on without it."""


def needs(settings: KubernetesSettings, kinds: Iterable[Kind] = (), others: Iterable[Need] | None = None) -> tuple[Need, ...]:
    """
    Everything that a run with *settings* needs.

    Args:
        settings: The section ``cluster``.
        kinds: Those that its manifests bring: beside ours, or, where *others* are given, all of them.
        others: What its telemetry, load and faults need; None: whatever those of any run may.
    """
    made = tuple(kinds) if others is not None else (*OURS, *kinds)
    rest = while_it_runs(settings.namespace) if others is None else others
    return (*_to_make(settings.namespace, made), *rest, *_of_namespaces(settings), *_of_nodes(settings))


def permissions(found: Iterable[Need], document: str) -> tuple[Permission, ...]:
    """The permissions among *found* that *document* grants."""
    return tuple(dict.fromkeys(need.permission for need in found if need.document == document))


def opted_in(settings: KubernetesSettings) -> tuple[str, ...]:
    """What the plan has to say of settings that reach further than the namespace, or cost money: a sentence each."""
    said = {
        "node_proxy": "reads the kubelets: the right nodes/proxy reaches pods, logs and programs of all namespaces",
        "node_helper": f"starts privileged pods on nodes while a fault of network or pause lasts, in {settings.namespace} only",
        "insecure": "does not check the API server's certificate: whoever stands in between may take the login, and everything it may do",
        "allow_load_balancers": "lets Services of type LoadBalancer through: they may cost money, and open the app to the world",
    }
    return tuple(f"cluster.{name} {text}" for name, text in said.items() if getattr(settings, name))


def while_it_runs(namespace: str) -> Iterator[Need]:
    """What telemetry, load and faults of any run may need in its *namespace*."""
    for group, resource, subresource, verbs, why in WHILE_IT_RUNS:
        for verb in verbs:
            yield Need(Permission(verb, group, resource, subresource, namespace), RUN, why)


def to_look(namespace: str, document: str | None = RUN) -> Iterator[Need]:
    """What it takes to see what of a run is in *namespace*: its objects of all kinds are looked for, that nothing of it is left."""
    yield Need(Permission("get", "", "namespaces", namespace=namespace, name=namespace), document, "whether the namespace is there")
    for kind in OURS:
        yield Need(kind.permission("list", namespace), document, "what a run has made is looked for, and removed")


def _to_make(namespace: str, kinds: Collection[Kind]) -> Iterator[Need]:
    for verb in ("get", "create", "patch", "delete"):
        yield Need(LEASE.permission(verb, namespace), RUN, "one run at a time holds the namespace")
    for kind in dict.fromkeys((*kinds, *(kind for kind in OURS if kind.rank == MADE))):
        own = kind.rank != MADE or (kind == POD and kind in kinds)
        for verb in MAKING if own else ("list", "delete"):
            yield Need(kind.permission(verb, namespace), RUN, f"the app, the load and the guards of faults are made of {kind.plural}")
    yield from to_look(namespace)


def _of_namespaces(settings: KubernetesSettings) -> Iterator[Need]:
    if settings.create_namespace:
        name = settings.namespace
        why = "cluster.create_namespace: the namespace is made when it is not there, and removed by the run that made it"
        yield Need(Permission("create", "", f"{NAMESPACE.lower()}s"), SETUP, why, optional=True)
        yield Need(Permission("delete", "", f"{NAMESPACE.lower()}s", namespace=name, name=name), SETUP, why, optional=True)


def _of_nodes(settings: KubernetesSettings) -> Iterator[Need]:
    for verb in ("get", "list"):
        yield Need(
            Permission(verb, "", "nodes"), NODES, "kernels, runtimes and resources stand in the manifest of a recording", optional=True
        )
    if settings.node_proxy:
        yield Need(Permission("get", "", "nodes", "proxy"), NODES_PROXY, "cluster.node_proxy: CPU and memory are read from the kubelets")
