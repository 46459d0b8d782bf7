"""
The cluster's programs as processes: started in its network namespace, remembered by pid and start time, ended.

Each carries a mark in its environment, and hands it on to what it starts (a container's own processes excepted): so what
belongs to a cluster is found even when a pid file was never written. Nothing without the mark is ever ended here.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.base.process import ProcessId, identify
from tests.live.harness.layout import Layout
from tests.live.harness.waits import holds

MARK = "TIDEGAUGE_LIVE"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the cluster, and how one knows that it is ready."""

    name: str
    argv: tuple[str, ...]
    files: Mapping[Path, str] = field(default_factory=dict)
    """Written before it is started."""
    ready: tuple[str, ...] | None = None
    """Ends with 0, run in the namespace, when it is; None: nobody waits for it."""
    ready_within_s: float = 60.0
    inside: bool = True
    """Started in the cluster's network namespace."""


def inside(layout: Layout, argv: Sequence[str]) -> list[str]:
    """*argv*, run in the cluster's network namespace; nothing else is changed (``ip netns exec`` would hide the cgroups)."""
    return ["nsenter", f"--net={layout.netns}", *argv]


def environment(layout: Layout) -> dict[str, str]:
    """What a program of the cluster gets: no proxy and no other setting of whoever starts it."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", MARK: str(layout.state)}


def start(layout: Layout, program: Program) -> ProcessId:
    """
    Start *program* in a session of its own; it outlives this process.

    Raises:
        OSError: It cannot be started; nothing was.
    """
    for path, text in program.files.items():
        path.write_text(text)
    argv = inside(layout, program.argv) if program.inside else list(program.argv)
    with layout.log(program.name).open("ab") as log:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(layout), cwd=layout.state, start_new_session=True
        )
    found = identify(child.pid)
    if found is None:  # impossible for a child that was not waited for
        raise ProcessLookupError(child.pid)
    layout.pid_file(program.name).write_text(f"{found.pid} {found.start_ticks}\n")
    child.returncode = 0  # it outlives us: nobody here waits for it
    return found


def remembered(layout: Layout) -> dict[str, ProcessId]:
    """What the pid files say, by name."""
    found = {}
    for path in sorted(layout.pid_file("").glob("*")):
        words = path.read_text().split()
        if len(words) == 2:
            found[path.name] = ProcessId(int(words[0]), int(words[1]))
    return found


def pids() -> list[int]:
    """Every process of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def marked(layout: Layout) -> list[ProcessId]:
    """Living processes that carry the mark of this cluster."""
    wanted = f"{MARK}={layout.state}".encode()
    found = []
    for pid in pids():
        process = identify(pid)
        if process is not None and wanted in _environment_of(pid) and process.alive():
            found.append(process)
    return found


def environments() -> Iterator[list[bytes]]:
    """What each process of this machine was given, as ``NAME=VALUE``."""
    return map(_environment_of, pids())


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def kill(processes: Iterable[ProcessId], within_s: float = 10.0) -> None:
    """SIGKILL to each, and wait until they are gone: all that they would have written is thrown away anyway."""
    waiting = list(processes)
    for process in waiting:
        process.signal(signal.SIGKILL)
    holds(lambda: not any(process.alive() for process in waiting), within_s, every_s=0.02)
