"""
What a machine has, as far as a node of Kubernetes changes it: taken before ``up``, and compared after ``down``.

Whatever is there afterwards and was not before is left over, whoever made it. Not looked at is what a login makes (a folder of
the user in ``/run/user``, cgroups of systemd), what other managers of processes make below cgroups of their own, what logs make, and
sysctls that count by themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.live.harness.processes import pids

SYSCTLS = Path("/proc/sys")
CGROUPS = Path("/sys/fs/cgroup")
PARENTS = ("/etc", "/etc/cni", "/mnt", "/opt", "/opt/cni", "/run", "/run/lock", "/usr/libexec", "/usr/local/bin", "/var/lib")
"""Folders in which a program may make another by a name of its own; only their direct entries are noted."""
DEEP = ("/run/containerd", "/run/runc", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")
"""Folders that are a node's own: everything in them is noted."""
SET_BY_THE_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
COUNTING = ("kernel/ns_last_pid", "kernel/tainted", "kernel/perf_event_max_sample_rate")
SYSTEMD = (".slice", ".scope", ".service", ".mount", ".socket")
POD_CGROUP = "kubepods"
KINDS = ("paths", "mounts", "cgroups", "namespaces", "interfaces")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything by kind, each a text that says what it is; sysctls with their values."""

    paths: tuple[str, ...]
    mounts: tuple[str, ...]
    cgroups: tuple[str, ...]
    namespaces: tuple[str, ...]
    interfaces: tuple[str, ...]
    sysctls: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return asdict(self)


def read_inventory(path: Path) -> Inventory | None:
    """The inventory in a file that ``take`` was written to; None when there is no such file."""
    if not path.is_file():
        return None
    value = json.loads(path.read_text())
    return Inventory(**{kind: tuple(value[kind]) for kind in KINDS} | {"sysctls": value["sysctls"]})


def take() -> Inventory:
    """What there is now."""
    return Inventory(
        paths=tuple(sorted({*_entries(), *_contents()})),
        mounts=tuple(sorted(mount_points())),
        cgroups=tuple(sorted(cgroups())),
        namespaces=tuple(_names("/run/netns")),
        interfaces=tuple(_names("/sys/class/net")),
        sysctls=dict(_sysctls()),
    )


def added(before: Inventory, after: Inventory) -> tuple[str, ...]:
    """What is in *after* and was not in *before*, one text each; a sysctl that has another value counts."""
    left = []
    for kind in KINDS:
        left += [f"{kind[:-1]} {what}" for what in sorted(set(getattr(after, kind)) - set(getattr(before, kind)))]
    for name, value in before.sysctls.items():
        if after.sysctls.get(name, value) != value:
            left.append(f"sysctl {name} is {after.sysctls[name]}, was {value}")
    return tuple(left)


def mount_points() -> Iterator[str]:
    """Where something is mounted, in the order of mounting, but for users' own folders."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1]
        if not point.startswith("/run/user/"):
            yield point


def cgroups(root: Path = CGROUPS) -> Iterator[str]:
    """
    The uppermost cgroups of every hierarchy, and those of pods wherever they are, with all that is in them.

    Below its own, whatever else starts processes here (systemd, a container, the service that started us) makes cgroups as it likes.
    """
    hierarchies = [root] if (root / "cgroup.controllers").is_file() else [path for path in root.iterdir() if path.is_dir()]
    for hierarchy in hierarchies:
        for folder, names, _ in os.walk(hierarchy):
            names[:] = [name for name in names if not name.endswith(SYSTEMD)]
            found = (f"{folder}/{name}" for name in names)
            yield from (path for path in found if folder == str(hierarchy) or f"/{POD_CGROUP}" in path)


def pod_processes() -> list[int]:
    """Processes in the cgroups of pods."""
    found = []
    for pid in pids():
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            continue
        if any(f"/{POD_CGROUP}" in line.split(":", 2)[2] for line in lines):
            found.append(pid)
    return found


def set_sysctl(name: str, value: str) -> None:
    """Give a sysctl (its path below ``/proc/sys``) its former value."""
    (SYSCTLS / name).write_text(value)


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []


def _entries() -> Iterator[str]:
    for parent in PARENTS:
        yield from (f"{parent}/{name}" for name in _names(parent))


def _contents() -> Iterator[str]:
    for top in DEEP:
        if Path(top).is_dir():
            yield top
        for folder, folders, files in os.walk(top):
            yield from (f"{folder}/{name}" for name in (*folders, *files))


def _sysctls() -> Iterator[tuple[str, str]]:
    """Those of the kernel and of memory, and of the network of this namespace, that can be set."""
    for pattern in ("kernel/*", "kernel/keys/*", "vm/*", "net/ipv4/*", "net/ipv4/conf/*/*", "net/bridge/*", "net/netfilter/*"):
        for path in sorted(SYSCTLS.glob(pattern)):
            name = path.relative_to(SYSCTLS).as_posix()
            if path.is_file() and name not in COUNTING and path.stat().st_mode & 0o600 == 0o600:
                try:
                    yield name, path.read_text().strip()
                except OSError:
                    continue
