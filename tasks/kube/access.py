"""How a cluster is reached: what the experiment document may say, before anything is read or asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KubeAccess:
    """A context of a kubeconfig, and how patient we are with its logins; nothing secret is in it."""

    kubeconfig: str | None = None
    """Path; None: ``$KUBECONFIG``, then ``~/.kube/config``, then the ServiceAccount of the pod we run in."""
    context: str | None = None
    """Name of a context in it; None: its ``current-context``."""
    auth_wait_s: float = 600.0
    """So long a request waits for somebody to log in anew, after the credentials were reloaded in vain."""
    insecure: bool = False
    """Take a context that switches the check of the server's certificate off; without it such a context is refused."""
