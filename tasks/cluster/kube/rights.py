"""The documents that grant what a run needs, for whoever administers the cluster: made from the needs, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.cluster.config import KubernetesSettings
from tasks.cluster.kube.kinds import Kind
from tasks.cluster.kube.needs import NODES, NODES_PROXY, RUN, SETUP, needs, permissions
from tasks.kube.permission import Permission
from tasks.kube.rights import bindings, roles

NODE_HELPER = "node-helper"
ACCOUNT = "tidegauge"
ENFORCE = "pod-security.kubernetes.io/enforce"
Documents = Mapping[str, list[dict[str, Any]]]
"""Objects by the name of the file in ``configs/rbac/``."""


def documents(settings: KubernetesSettings, *, kinds: Iterable[Kind] = (), subject: dict[str, str] | None = None) -> Documents:
    """
    Everything that may be granted for *settings*: ``setup`` once, ``run`` always, ``nodes``, ``nodes-proxy`` and ``node-helper`` as wanted.

    Args:
        settings: Of the cluster; what it does not opt in to is there too.
        kinds: Those that manifests bring beside ours.
        subject: Who gets the rights, as a RoleBinding names it; None: the ServiceAccount ``tidegauge`` of the namespace.
    """
    namespace = settings.namespace
    who = subject or account_of(namespace)
    found = needs(settings.model_copy(update={"node_proxy": True}), kinds)
    account = [] if subject else [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": namespace}}]
    granted = {name: granting(f"tidegauge-{name}", permissions(found, name), who) for name in (RUN, NODES, NODES_PROXY)}
    return {
        SETUP: [namespace_alone(namespace), *account],
        **granted,
        NODE_HELPER: [namespace_alone(namespace, {ENFORCE: "privileged"})],
    }


def account_of(namespace: str) -> dict[str, str]:
    """The ServiceAccount that runs log in as, as a binding names it."""
    return {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}


def granting(name: str, wanted: Iterable[Permission], who: dict[str, str]) -> list[dict[str, Any]]:
    """The Roles called *name* that hold all that is *wanted*, and what binds them to *who*."""
    given = tuple(wanted)
    return [*roles(name, given), *bindings(name, given, who)]


def namespace_alone(name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A namespace that an administrator makes, of no run."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **({"labels": dict(labels)} if labels else {})}}
