"""A document can start programs. One that brings its own needs a yes, unless it lies where the user works."""

import os
import sys
from pathlib import Path

from flows.document import Experiment
from tasks.app.files import started_by
from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped
from tasks.cluster.config import ClusterConfig, CommandCluster, KubeconfigCluster

SERVED_TRUST = "TIDEGAUGE_TRUST"
"""Set to 1 where flows are served: documents that come as values may start programs of their own."""


def programs(document: Experiment) -> list[list[str]]:
    """Each argv that the document itself brings, or has started for it (those of the shipped shop are the product's own)."""
    return [*started_by(document.app), *by_cluster(document.cluster)]


def by_cluster(cluster: ClusterConfig) -> list[list[str]]:
    """Each argv that the section *cluster* brings: commands that are not shipped, credential plugins of a kubeconfig that it names."""
    if isinstance(cluster, CommandCluster):
        from tasks.cluster.command.file import is_shipped
        from tasks.cluster.command.provider import CommandProvider

        return [] if is_shipped(cluster.commands) else [list(argv) for argv in CommandProvider(Path(), cluster).commands().listed()]
    if isinstance(cluster, KubeconfigCluster) and cluster.kubeconfig is not None:
        from tasks.kube.kubeconfig import plugins_of

        return plugins_of(cluster.kubeconfig)
    return []


def require_served_trust(document: Experiment) -> None:
    """
    Let a document that reached a served flow as values start its programs only where ``serve --trust`` said so.

    Raises:
        DocumentError: It was not said; nothing was started.
    """
    brought = programs(document)
    if brought and os.environ.get(SERVED_TRUST) != "1":
        raise DocumentError(
            f"{document.name} would start:\n{_listed(brought)}", next_step=f"tidegauge serve --trust, or set {SERVED_TRUST}=1"
        )


def at_home(file: Path, here: Path) -> bool:
    """Whether *file* lies below *here* or among the shipped documents, links followed."""
    place = file.resolve()
    return any(place.is_relative_to(folder.resolve()) for folder in (here, shipped("")))


def require_trust(document: Experiment, file: Path, *, trusted: bool) -> None:
    """
    Let a document from elsewhere start its programs only with ``--trust`` or a yes on a terminal.

    Raises:
        DocumentError: Nobody said yes; nothing was started.
    """
    brought = programs(document)
    if not brought or trusted or at_home(file, Path.cwd()):
        return
    listing = _listed(brought)
    if sys.stdin.isatty():
        print(f"{file} comes from elsewhere and would start:\n{listing}", file=sys.stderr)
        if input("Start them? [y/N] ").strip().lower() in ("y", "yes"):
            return
    raise DocumentError(f"{file} comes from elsewhere and would start:\n{listing}", next_step="read it, then add --trust")


def _listed(brought: list[list[str]]) -> str:
    return "\n".join(f"  {argv}" for argv in brought)
