"""What has to be there before anything is started, told all at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.base.errors import PreflightError
from tests.live.artifacts import binaries, images
from tests.live.harness.inventory import POD_CGROUP, cgroups
from tests.live.harness.layout import CNI_PROGRAMS, CONTAINERD_SOCKET, LONGEST_STATE, Layout

TOOLS = {
    # program: the Debian package it comes in
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "sysctl": "procps",
    "openssl": "openssl",
    "curl": "curl",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a cluster is made from."""

    binaries: Path
    images: Path


def missing() -> tuple[str, ...]:
    """Why no cluster can be brought up on this machine, one reason each; empty when one can."""
    return tuple(_missing())


def require(layout: Layout) -> Parts:
    """
    The parts of the cluster.

    Raises:
        PreflightError: Something is missing, or another node of Kubernetes or another containerd is here.
    """
    reasons = [*_missing(), *_in_the_way(layout)]
    programs, archive = binaries(), images()
    if reasons or programs is None or archive is None:
        raise PreflightError("no cluster can be brought up here:\n  " + "\n  ".join(reasons))
    return Parts(programs, archive)


def _missing() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "only root can: it makes namespaces, mounts and cgroups"
    packages = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if not (CNI_PROGRAMS / "bridge").exists():
        packages.append("containernetworking-plugins")
    if packages:
        yield f"not installed: {' '.join(packages)}"
    if binaries() is None or images() is None:
        yield "the cluster's programs or images are not built; next: make cluster"


def _in_the_way(layout: Layout) -> Iterator[str]:
    if CONTAINERD_SOCKET.exists():
        yield f"another containerd has {CONTAINERD_SOCKET}"
    if any(Path(path).name == POD_CGROUP for path in cgroups()):
        yield "another node of Kubernetes has cgroups of pods here"
    if len(os.fsencode(layout.state)) > LONGEST_STATE:
        yield f"{layout.state} is too long a path: sockets below it may have {LONGEST_STATE} bytes before them"
    if layout.state.exists() or not layout.state.parent.is_dir() or any(letter.isspace() for letter in str(layout.state)):
        yield f"{layout.state} must be a new folder in one that is there, without spaces in its name"
