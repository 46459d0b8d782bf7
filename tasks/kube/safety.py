"""Namespaces that are never written to, whatever a document says."""

from __future__ import annotations

from tasks.base.errors import DocumentError
from tasks.kube.refs import ObjectRef

PROTECTED = frozenset({"kube-system", "kube-public", "kube-node-lease", "default"})


def check_namespace(name: str) -> str:
    """
    *name*, if things may be made and broken in that namespace.

    Raises:
        DocumentError: It is the cluster's own, or the one where whoever names none ends up.
    """
    if name in PROTECTED or name.startswith("kube-"):
        raise DocumentError(f"the namespace {name} is never written to", next_step="name one of your own in `cluster.namespace`")
    return name


def check_writable(ref: ObjectRef) -> None:
    """
    Let pass what is no protected namespace, and lies in none.

    Raises:
        DocumentError: See :func:`check_namespace`.
    """
    if ref.namespace is not None:
        check_namespace(ref.namespace)
    if (ref.group, ref.kind) == ("", "Namespace"):
        check_namespace(ref.name)
