"""What a supervisor is told to run: the file ``spec.json`` of its state folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from tasks.base.errors import PreflightError
from tasks.base.files import read_json, write_json
from tasks.base.process import ProcessSpec

SPEC_FILE = "spec.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """
    Waits before restarts, in seconds, after the kubelet's crash-loop back-off.

    The first restart of a process comes after *first_delay_s*, the next after *delay_s*, doubled each time up to
    *max_delay_s*; a process that ran for *reset_after_s* starts anew at the first.
    """

    first_delay_s: float = 0.0
    delay_s: float = 10.0
    max_delay_s: float = 300.0
    reset_after_s: float = 600.0

    def failures_after(self, failures: int, ran_s: float) -> int:
        """Ends in a row, this one included, of a process that had *failures* before and ran for *ran_s*."""
        return 1 if ran_s >= self.reset_after_s else failures + 1

    def wait_s(self, failures: int) -> float:
        """Seconds before the restart after *failures* ends in a row (1 or more)."""
        if failures <= 1:
            return self.first_delay_s
        return min(self.max_delay_s, self.delay_s * 2.0 ** min(failures - 2, 30))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A set of processes and how to look after them."""

    token: str
    """Random, new for each deployment; in the environment of every process of it, so that none is ever mistaken."""
    processes: tuple[ProcessSpec, ...]
    """In the order of start."""
    entry: str | None = None
    """The service that users enter by."""
    proxy_ports: Mapping[str, int] = field(default_factory=dict)
    """The public loopback port of each service that has a proxy before it."""
    restart: RestartPolicy = RestartPolicy()
    """Waits before restarts."""
    stop_grace_s: float = 3.0
    """Seconds between SIGTERM and SIGKILL."""
    working_dir: str | None = None
    """Where processes are started; None: each one in its own ``data/<name>`` folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The minimal environment that every process gets."""

    def with_process(self, spec: ProcessSpec) -> Self:
        """The same deployment with *spec* in the place of its namesake, or at the end."""
        names = [one.name for one in self.processes]
        kept = tuple(spec if one.name == spec.name else one for one in self.processes)
        return replace(self, processes=kept if spec.name in names else (*kept, spec))

    def without(self, name: str) -> Self:
        """The same deployment without process *name*."""
        return replace(self, processes=tuple(one for one in self.processes if one.name != name))

    def write(self, state_dir: Path) -> None:
        """Put it into *state_dir*, atomically."""
        write_json(state_dir / SPEC_FILE, asdict(self))

    @classmethod
    def read(cls, state_dir: Path) -> Self:
        """
        The deployment described in *state_dir*.

        Raises:
            StorageError: There is none, or it cannot be read.
        """
        value = read_json(state_dir / SPEC_FILE)
        processes = tuple(spec_from_json(one) for one in value["processes"])
        return cls(**{**value, "processes": processes, "restart": RestartPolicy(**value["restart"])})


def checked(specs: Iterable[ProcessSpec]) -> tuple[ProcessSpec, ...]:
    """
    *specs*, if each of them can be started: names become file names, arguments go to the kernel as they are.

    Raises:
        PreflightError: Says which one is wrong, and how.
    """
    found = tuple(specs)
    names = [spec.name for spec in found]
    problems = [f"two processes are called {name!r}" for name in sorted({one for one in names if names.count(one) > 1})]
    problems += [f"{spec.name!r}: {problem}" for spec in found for problem in _problems(spec)]
    if problems:
        raise PreflightError("; ".join(problems), next_step="mend the process in the document's section app")
    return found


def _problems(spec: ProcessSpec) -> list[str]:
    problems = []
    if not _NAME.fullmatch(spec.name):
        problems.append("a name has lower-case letters, digits and dashes, at most 63")
    if not spec.argv or not spec.argv[0]:
        problems.append("there is no program to start")
    if any("\0" in text for text in (*spec.argv, *spec.env.values())):
        problems.append("an argument or variable has a NUL character")
    if not all(_VARIABLE.fullmatch(key) for key in spec.env):
        problems.append("a variable's name has letters, digits and underscores")
    if spec.port is not None and not 0 < spec.port < 65_536:
        problems.append(f"{spec.port} is not a port")
    return problems


def spec_to_json(spec: ProcessSpec) -> dict[str, Any]:
    """*spec* as a JSON object."""
    return {**asdict(spec), "argv": list(spec.argv), "env": dict(spec.env)}


def spec_from_json(value: Mapping[str, Any]) -> ProcessSpec:
    """Read what :func:`spec_to_json` wrote."""
    return ProcessSpec(**{**value, "argv": tuple(value["argv"])})
