"""Whole processes, measured from outside: wall and processor time, and the most memory that was resident."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.stopwatch import clean_environment
from tests.conftest import ROOT

STARTER = """\
import json, os, sys, time
begun_s = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
wall_s = time.perf_counter() - begun_s
told = [os.waitstatus_to_exitcode(status), wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]
with open(sys.argv[1], "w") as file:
    json.dump(told, file)
"""
"""Small itself, as the kernel counts the memory of whoever starts a process as the process' own."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A whole process, from its start to its end, interpreter and imports included."""

    wall_s: float
    cpu_s: float
    rss_bytes: int
    """The most it had resident."""
    said: str


def launched(argv: Sequence[str], home: Path) -> Ended:
    """
    Run *argv* and take its measure; *home* stands for the home folder and gets what it says.

    Raises:
        OSError: It ended with another code than 0; the message has the end of its errors.
    """
    report = home / "ended.json"
    starter = [sys.executable, "-I", "-S", "-c", STARTER, str(report), *argv]
    done = subprocess.run(starter, cwd=ROOT, env=clean_environment(home), capture_output=True, text=True, check=True, timeout=900)
    code, wall_s, cpu_s, rss_bytes = json.loads(report.read_text())
    if code:
        raise OSError(f"{argv[0]} ended with {code}: {done.stderr.strip()[-500:]} {done.stdout[-500:]}")
    return Ended(wall_s, cpu_s, rss_bytes, done.stdout)
