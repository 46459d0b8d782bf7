"""The section ``cluster`` of the experiment document: where the app runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tasks.base.model import Name, Seconds, Strict

Delay = Annotated[float, Field(ge=0, le=3600)]
"""Seconds to wait, at most an hour; 0 is at once."""


class RestartConfig(Strict):
    """How long an ended process waits before it is started again. The defaults are those of a kubelet."""

    first_delay_s: Delay = 0.0
    """Wait before the first restart, in seconds."""
    delay_s: Delay = 10.0
    """Wait before the second restart, in seconds; doubled for each one after it."""
    max_delay_s: Delay = 300.0
    """Longest wait, in seconds."""
    reset_after_s: Seconds = 600.0
    """A process that ran this long, in seconds, counts as one that never ended."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.max_delay_s < self.delay_s:
            raise ValueError(f"max_delay_s ({self.max_delay_s:g}) must be at least delay_s ({self.delay_s:g})")
        return self


class LocalCluster(Strict):
    """This machine: services are processes under one supervisor, on loopback ports."""

    provider: Literal["local"] = "local"
    """Name of the provider."""
    restart: RestartConfig = RestartConfig()
    """Restarts of a process that ended."""
    ready_timeout_s: Seconds = 60.0
    """Longest wait, in seconds, until every process answers after a start."""
    stop_grace_s: Annotated[float, Field(ge=0, le=300)] = 3.0
    """Time, in seconds, between the request to end and SIGKILL."""
    ttl_s: Seconds | None = None
    """A deployment made by ``up`` ends by itself after this many seconds; null: it stays until ``down``."""


NEVER_WRITTEN = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces in which nothing is ever made or broken, beside all others that begin with ``kube-``."""


def _namespace(name: str) -> str:
    if name in NEVER_WRITTEN or name.startswith("kube-"):
        raise ValueError(f"nothing is ever made or broken in {name}; name a namespace of your own, it is made when it is not there")
    if name.endswith("-"):
        raise ValueError("a namespace does not end with a dash")
    return name


Namespace = Annotated[Name, AfterValidator(_namespace)]
"""A namespace of Kubernetes that is not the cluster's own."""
ContextName = Annotated[str, Field(min_length=1, max_length=500)]
"""Name of a context in a kubeconfig."""
Image = Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$", max_length=500)]
"""An image's name, with a tag or a digest or both."""
FilePath = Annotated[str, Field(min_length=1, max_length=1000)]
"""Path of a file."""


class KubernetesSettings(Strict):
    """What is the same for every Kubernetes, however it is reached."""

    namespace: Namespace
    """The one namespace in which the app, the load and the guards of faults are made; nothing outside of it is written."""
    create_namespace: bool = True
    """Make the namespace when it is not there, and remove it in the end; one that was there stays."""
    ready_timeout_s: Seconds = 300.0
    """Longest wait, in seconds, until every workload is ready after it was made."""
    auth_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    """How long, in seconds, a run waits for somebody to log in again when the login has ended."""
    teardown_timeout_s: Seconds = 120.0
    """Longest wait, in seconds, until everything that was removed is gone; what is left then is listed."""
    insecure: bool = False
    """Take a context that does not check the server's certificate (``insecure-skip-tls-verify``); else it is refused."""
    lease_s: Annotated[float, Field(ge=45, le=3600)] = 60.0
    """A killed run holds its namespace for this long, in seconds; others are refused. The next one then waits half of it."""
    node_proxy: bool = False
    """Read the kubelets through the API server. This needs the right ``nodes/proxy``, which reaches pods of all namespaces."""
    tools_image: Image | None = None
    """Image with ``python3`` for the guards of faults and the smoke test; null: ``tidegauge.local/locust`` of this version."""
    node_helper: bool = False
    """Let faults of network and pause start a privileged pod on the node of their target, for as long as they last."""
    node_helper_image: Image | None = None
    """Image with ``python3`` and ``iptables`` for that pod; null: ``tidegauge.local/fault`` of this version."""
    chaos_mesh: bool = True
    """Let Chaos Mesh do the faults that it can, where it is installed and the login may use it."""
    allow_load_balancers: bool = False
    """Let Services of the type LoadBalancer through: they may cost money, and open the app to the world."""


class KubeconfigCluster(KubernetesSettings):
    """A Kubernetes that is there already; it is neither made nor removed."""

    provider: Literal["kubeconfig"]
    """A cluster of a kubeconfig."""
    context: ContextName | None = None
    """Name of the context; null: the current one."""
    kubeconfig: FilePath | None = None
    """Path of the kubeconfig; null: ``$KUBECONFIG``, or else ``~/.kube/config``."""


class CommandCluster(KubernetesSettings):
    """A Kubernetes that commands make before the run and remove after it, as kind, k3d, minikube and kops do."""

    provider: Literal["command"]
    """A cluster that commands make."""
    commands: FilePath
    """A shipped set of commands (``kind``, ``k3d``, ``minikube``, ``kops``), or the path of a YAML file with ones of your own."""
    name: Name = "tidegauge"
    """Name of the cluster. One of that name that was there before is used, and never removed."""
    context: ContextName | None = None
    """Name of a context in the kubeconfig that the commands give; null: its current one."""
    keep: bool = False
    """Leave a cluster that was made in place after the run; ``tidegauge down`` removes it."""
    create_timeout_s: Seconds = 1800.0
    """Longest time, in seconds, that making the cluster may take."""
    delete_timeout_s: Seconds = 900.0
    """Longest time, in seconds, that removing it may take."""
    ask_timeout_s: Seconds = 120.0
    """Longest time, in seconds, that asking whether it is there, or for its kubeconfig, may take."""


def _local_unless_said(value: Any) -> Any:
    elsewhere = {*KubeconfigCluster.model_fields, *CommandCluster.model_fields} - set(LocalCluster.model_fields)
    local = isinstance(value, dict) and "provider" not in value and not elsewhere & set(value)
    return {"provider": "local", **value} if local else value


ClusterConfig = Annotated[
    Annotated[LocalCluster | KubeconfigCluster | CommandCluster, Field(discriminator="provider")],
    BeforeValidator(_local_unless_said),
]
"""One model a provider, told apart by ``provider``; where it is not said, this machine is meant."""
