"""What load in pods is made of, and what the login has to be allowed for it: decided without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.kube.permission import Permission
from tasks.load.config import LoadConfig

MADE: Mapping[str, int] = {"ConfigMap": 1, "Service": 1, "Job": 2}
"""Objects of one load by kind, as :func:`tasks.load.kube.manifests.manifests` has them."""
NEEDED = (
    ("", "configmaps", ("create", "patch", "delete")),
    ("", "services", ("create", "patch", "delete")),
    ("batch", "jobs", ("create", "patch", "delete")),
    ("", "pods", ("list", "watch", "delete")),
    ("", "pods/log", ("get",)),
)
"""Group, resource, verbs: apply is ``patch``, and ``create`` where there is none."""


def needed(load: LoadConfig, namespace: str) -> tuple[Permission, ...]:
    """What *load* asks of the API server; nothing where generators run on this machine."""
    if load.place == "here":
        return ()
    split = ((group, *what.partition("/")[::2], verbs) for group, what, verbs in NEEDED)
    return tuple(Permission(verb, group, resource, sub, namespace) for group, resource, sub, verbs in split for verb in verbs)
