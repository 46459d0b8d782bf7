"""
Take a cluster down, whatever state it is in, and say what is left of it.

Everything is killed, nothing is asked to end: all that would be written is removed anyway. It works from the state folder
and the marks of processes alone, so it also clears what a killed ``up`` left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path

from tests.live.harness.inventory import (
    DEEP,
    POD_CGROUP,
    SET_BY_THE_KUBELET,
    Inventory,
    added,
    cgroups,
    mount_points,
    pod_processes,
    read_inventory,
    set_sysctl,
    take,
)
from tests.live.harness.layout import Layout
from tests.live.harness.others import counted, others
from tests.live.harness.processes import kill, marked, pids, remembered
from tests.live.harness.waits import holds

FIRST = ("kubelet", "containerd", "controllers", "scheduler", "proxy", "apiserver")
"""What would start a container again, or wait for one."""


def down(layout: Layout) -> tuple[str, ...]:
    """
    Take the cluster of *layout* down; what is left over of it, one text each. Where nothing is up, nothing is done.

    While another cluster is up, the node is that one's: only what lies in our own folder, or carries our mark, is ended and removed.
    """
    before, up = read_inventory(layout.inventory), others(layout)
    _end_processes(layout, None if up else before)
    if before is None:
        _remove_unbegun(layout)
        return ()
    tops = (str(layout.state), *(() if up else DEEP))
    busy = _unmount(layout, before, tops)
    if not up:
        _restore(before)
    if not busy:
        _remove_folders(layout, before, tops)
    left = leftovers(layout, before, up)
    if not left:
        shutil.rmtree(layout.state)
    return left


def leftovers(layout: Layout, before: Inventory, up: Collection[Path]) -> tuple[str, ...]:
    """What is here and was not *before*, apart from the state folder itself and from what is of the clusters that are *up*."""
    processes = [f"process {process.pid} {_command_of(process.pid)}" for process in marked(layout)]
    processes += [f"process {pid} {_command_of(pid)} in a pod" for pid in ([] if up else pod_processes())]
    processes += [
        f"process {pid} {_command_of(pid)} in the cluster's network, which is not ours to end" for pid in processes_inside(layout)
    ]
    files = [f"path {path}" for path in layout.state.iterdir() if path != layout.inventory] if layout.state.is_dir() else []
    rest = [one for one in counted(added(before, take()), up) if one != f"path {layout.state}"]
    return (*processes, *files, *rest)


def processes_inside(layout: Layout) -> list[int]:
    """Processes in the cluster's network namespace, whoever started them."""
    if str(layout.netns) not in mount_points():
        return []
    wanted = layout.netns.stat().st_ino
    return [pid for pid in pids() if _namespace_of(pid) == wanted]


def _namespace_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def _end_processes(layout: Layout, before: Inventory | None) -> None:
    known, ours = remembered(layout), marked(layout)
    kill(known[name] for name in FIRST if known.get(name) in ours)  # a pid file may be of before the machine's last start
    if before is not None:
        _end_pods(before)
    holds(lambda: not _killed_marked(layout), 10.0)


def _killed_marked(layout: Layout) -> bool:
    """Kill what carries the mark; whether there was anything."""
    found = marked(layout)
    kill(found, 2.0)
    return bool(found)


def _end_pods(before: Inventory) -> None:
    """Kill every process of a pod while the shims still live, which bury them."""
    if any(Path(path).name == POD_CGROUP for path in before.cgroups):
        return  # they are of another node
    holds(_no_pod_process, 10.0)


def _no_pod_process() -> bool:
    found = pod_processes()
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not found


def _unmount(layout: Layout, before: Inventory, tops: Collection[str]) -> bool:
    """
    Unmount what is in our folders, which *tops* are, the last one first; whether anything stays.

    The namespace stays while somebody else's process is in it. Where anything stays, no file may be removed: it could be
    one of another folder that is mounted there.
    """
    guests = bool(processes_inside(layout))
    for point in reversed(_our_mounts(before, tops)):
        if not (guests and point == str(layout.netns)):
            for option in ([], ["--lazy"]):
                if subprocess.run(["umount", *option, point], capture_output=True, check=False).returncode == 0:
                    break
    return bool(_our_mounts(before, tops))


def _our_mounts(before: Inventory, tops: Collection[str]) -> list[str]:
    return [point for point in mount_points() if _is_in(tops, point) and point not in before.mounts]


def _is_in(tops: Collection[str], path: str) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)


def _remove_unbegun(layout: Layout) -> None:
    """The folder of an ``up`` that was killed before it had written what there was: nothing else can be in it."""
    if layout.state.is_dir() and all(path.name.startswith(f".{layout.inventory.name}.") for path in layout.state.iterdir()):
        shutil.rmtree(layout.state)


def _restore(before: Inventory) -> None:
    """What a node changes of the whole machine, as it was."""
    _remove_cgroups(before)
    for name in SET_BY_THE_KUBELET:
        if name in before.sysctls:
            set_sysctl(name, before.sysctls[name])


def _remove_cgroups(before: Inventory) -> None:
    def gone() -> bool:
        ours = [path for path in cgroups() if path not in before.cgroups and f"/{POD_CGROUP}" in path]
        for path in sorted(ours, key=len, reverse=True):
            try:
                Path(path).rmdir()
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOENT, errno.ENOTEMPTY):
                    raise
        return not ours

    holds(gone, 10.0)


def _remove_folders(layout: Layout, before: Inventory, tops: Collection[str]) -> None:
    """Everything of ours: the state folder but for the inventory, and what is new in *tops*, the folders of a node."""
    for path in layout.state.iterdir():
        if path != layout.inventory:
            _remove(path)
    for text in sorted(set(take().paths) - set(before.paths)):
        if _is_in(tops, text) and text != str(layout.state):
            _remove(Path(text))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:100]
    except OSError:
        return ""
