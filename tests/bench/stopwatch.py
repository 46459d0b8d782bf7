"""Taking times: wall and processor, medians of several, ours and a peer's in turn."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of each round, and the last round's result."""

    wall_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    result: Any

    @property
    def wall(self) -> float:
        """Median wall time, in seconds."""
        return statistics.median(self.wall_s)

    @property
    def cpu(self) -> float:
        """Median processor time of all threads, in seconds."""
        return statistics.median(self.cpu_s)


def in_turn(*acts: Callable[[], Any], rounds: int = ROUNDS) -> tuple[Taken, ...]:
    """Each of *acts* called *rounds* times in this process, one after the other in turn, and what each took."""
    walls: list[list[float]] = [[] for _ in acts]
    cpus: list[list[float]] = [[] for _ in acts]
    results: list[Any] = [None for _ in acts]
    for _ in range(rounds):
        for place, act in enumerate(acts):
            results[place] = None  # the last round's result must not count against this one's memory
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            results[place] = act()
            cpus[place].append(time.process_time() - cpu_s)
            walls[place].append(time.perf_counter() - wall_s)
    return tuple(Taken(tuple(wall), tuple(cpu), result) for wall, cpu, result in zip(walls, cpus, results, strict=True))


def command(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Callable[[], str]:
    """
    Running *argv* in a fresh process: an act whose result is its standard output.

    Raises (when called):
        subprocess.CalledProcessError: It ended with another code than 0.
    """

    def run() -> str:
        return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, text=True, check=True, timeout=300).stdout

    return run


def clean_environment(home: Path) -> dict[str, str]:
    """This environment without anything of the user's Prefect or of ours; *home* stands for the home folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIDEGAUGE_"))}
    return {**kept, "HOME": str(home)}


def machine() -> str:
    """What was measured on, without its name: system, processors, memory, Python, and how busy it was."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    what = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, {memory_gb:.0f} GB, Python {platform.python_version()}"
    return f"{what}; load average {os.getloadavg()[0]:.1f}"


def versions(*names: str) -> str:
    """``scikit-learn 1.9.0, numpy 2.4.0`` of the distributions *names*."""
    return ", ".join(f"{name} {version(name)}" for name in names)


def peak_rss_bytes() -> int:
    """The most memory this process ever had resident; a parent's own peak is not counted."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
