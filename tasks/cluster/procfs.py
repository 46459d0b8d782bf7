"""
What the kernel says about processes and the machine, read cheaply: a few microseconds a file.

Everything here returns None (or leaves out) what is no longer there: a process may end between two lines.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NODE_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of ``/proc/PID/stat``; times in seconds of CPU."""

    state: str
    parent: int
    group: int
    session: int
    own_cpu_s: float
    """Of the process itself, all threads."""
    waited_cpu_s: float
    """Of its ended children that it has waited for, and theirs."""
    threads: int
    start_ticks: int
    rss_bytes: int
    """Quick and slightly stale; never used for a metric."""

    @property
    def ended(self) -> bool:
        """Whether it is a zombie or on its way out."""
        return self.state in "ZXx"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory: resident, and resident with shared pages divided among their users (PSS)."""

    rss_bytes: int = 0
    pss_bytes: int = 0


def _read(path: str, size: int = 4096) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(handle, size)
    except OSError:
        return None
    finally:
        os.close(handle)


def pids() -> list[int]:
    """All processes of the machine that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 -- names only, four times a second


def stat(pid: int) -> Stat | None:
    """``/proc/PID/stat`` of *pid*."""
    raw = _read(f"/proc/{pid}/stat")
    if not raw:
        return None
    part = raw[raw.rindex(b")") + 2 :].split()
    return Stat(
        part[0].decode(),
        int(part[1]),
        int(part[2]),
        int(part[3]),
        (int(part[11]) + int(part[12])) / TICKS_PER_S,
        (int(part[13]) + int(part[14])) / TICKS_PER_S,
        int(part[17]),
        int(part[19]),
        int(part[21]) * PAGE_BYTES,
    )


def own_cpu_s(pid: int, found: Stat) -> float:
    """CPU seconds of *pid* itself to the nanosecond (its CPU clock); those of *found*, in ticks, when it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of the whole process, as clock_getcpuclockid(3) makes it
    except OSError:
        return found.own_cpu_s


def memory(pid: int) -> Memory:
    """
    Anonymous resident memory and PSS of *pid*; all resident memory for both where the kernel does not tell.

    cAdvisor's rss is anonymous memory too: file pages that a process shares with others of its kind are not its own.
    """
    raw = _read(f"/proc/{pid}/smaps_rollup")
    sizes = {b"Rss:": 0, b"Pss:": 0, b"Anonymous:": 0}
    for line in (raw or b"").splitlines():
        label, _, rest = line.partition(b" ")
        if label in sizes:
            sizes[label] = int(rest.split()[0]) * _KIB
    if sizes[b"Rss:"] and not sizes[b"Pss:"]:
        sizes[b"Pss:"] = sizes[b"Rss:"]
    if not sizes[b"Rss:"] and (found := stat(pid)) is not None and not found.ended:
        return Memory(found.rss_bytes, found.rss_bytes)
    return Memory(sizes[b"Anonymous:"], sizes[b"Pss:"])


def disk_bytes(pid: int) -> tuple[int, int]:
    """Bytes read from and written to storage by *pid* and the children it has waited for."""
    counts = {b"read_bytes": 0, b"write_bytes": 0}
    for line in (_read(f"/proc/{pid}/io") or b"").splitlines():
        label, _, value = line.partition(b": ")
        if label in counts:
            counts[label] = int(value)
    return counts[b"read_bytes"], counts[b"write_bytes"]


def descriptors(pid: int) -> int:
    """Open file descriptors of *pid*."""
    path = f"/proc/{pid}/fd"
    try:
        return os.stat(path).st_size or len(os.listdir(path))  # noqa: PTH116, PTH208 -- the size is the number since Linux 6.2
    except OSError:
        return 0


def environment(pid: int) -> dict[str, str]:
    """The environment that *pid* was started with; empty when it is not ours to read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if item)
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, _, value in pairs}


def boot_id() -> str:
    """Random, new at each boot: start times are only comparable within one."""
    return (_read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def node_cpu_s() -> dict[str, float]:
    """CPU seconds of the whole machine since its boot, by mode."""
    first = (_read("/proc/stat", 512) or b"").split(b"\n", 1)[0].split()[1:]
    return {mode: int(value) / TICKS_PER_S for mode, value in zip(NODE_MODES, first, strict=False)}


def node_load1() -> float:
    """Load average over one minute."""
    return float((_read("/proc/loadavg") or b"0").split()[0])


def node_memory_bytes() -> dict[str, int]:
    """Bytes of memory of the machine: ``MemTotal`` and ``MemAvailable``."""
    sizes = {}
    for line in (_read("/proc/meminfo") or b"").splitlines():
        label, _, rest = line.partition(b":")
        if label in (b"MemTotal", b"MemAvailable"):
            sizes[label.decode()] = int(rest.split()[0]) * _KIB
    return sizes
