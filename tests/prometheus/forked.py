"""
Programs of ours started a hundred times a minute: a warm process forks, the child runs a program's ``main`` and may be killed.

What a kill meets is what it would meet in a process of its own, but for the half second in which that only imports modules.
``python -m tests.prometheus.forked`` reads one JSON object a line and answers each with one.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.conftest import ROOT

Program = Literal["tidegauge", "tail"]
PROGRAMS: tuple[Program, ...] = ("tidegauge", "tail")
IMPORTED_LATE = (
    "flows.importing",
    *(f"tasks.telemetry.prometheus.{name}" for name in ("export", "frames", "range_json", "selectors", "streamed", "wire")),
    "stamina",
)
"""What a program imports only when it needs it; here no child has to."""
WINDOW_MS = 300_000
"""The first window of an import is that short here, so that a kill meets one of several."""
STEPS = ("fsync", "rename", "replace", "write", "unlink", "ftruncate", "mkdir", "rmdir")
"""Calls that change what is on the disk; what is written in between is in a file that has no name yet."""


class Forked:
    """
    A child that runs a program.

    Args:
        launcher: Who forks it.
        pid: Its process.
    """

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher, self.pid = launcher, pid

    def kill_after(self, delay_s: float) -> int:
        """SIGKILL after *delay_s*, or nothing where it has ended by then; its exit code, -9 where it was killed."""
        time.sleep(delay_s)
        os.kill(self.pid, signal.SIGKILL)  # it is ours, and is not reaped before wait()
        return self.wait()

    def terminate(self) -> int:
        """Let it end, and wait for that."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return int(self._launcher.ask({"wait": self.pid})["code"])


class Launcher:
    """The warm process, by ``with``."""

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.prometheus.forked"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One question and its answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        return dict(json.loads(self._child.stdout.readline()))

    def start(self, program: Program, arguments: Sequence[str], output: Path, *, die_at: int = 0, count_to: Path | None = None) -> Forked:
        """
        Start *program*.

        Args:
            program: ``tidegauge`` or the reader of a Prometheus.
            arguments: Of its ``main``.
            output: What it says is appended here.
            die_at: It is killed just before it changes the disk for the so many-th time; 0: never.
            count_to: File for the number of times that it did, when it ends.
        """
        told = {"program": program, "arguments": list(arguments), "output": str(output), "die_at": die_at}
        return Forked(self, int(self.ask({**told, "count_to": None if count_to is None else str(count_to)})["pid"]))


def _main_of(program: Program) -> Callable[[list[str]], int]:
    from flows.cli import main as tidegauge
    from tasks.telemetry.prometheus.tail import main as tail

    return {"tidegauge": tidegauge, "tail": tail}[program]


def _counting(die_at: int) -> list[int]:
    """Count the steps of this process from now on, and end it at number *die_at*."""
    done = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    return done


def _run(request: dict[str, Any]) -> int:
    os.setsid()
    sink = os.open(request["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    main = _main_of(request["program"])
    done = _counting(request["die_at"])
    code = main(request["arguments"])
    if request["count_to"]:
        Path(request["count_to"]).write_text(str(done[0]))
    sys.stdout.flush()
    return code


def serve() -> None:
    """Answer until the other side closes."""
    for program in PROGRAMS:
        _main_of(program)
    for late in IMPORTED_LATE:
        importlib.import_module(late)
    sys.modules["tasks.telemetry.prometheus.export"].FIRST_MS = WINDOW_MS  # type: ignore[attr-defined]
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                try:
                    os._exit(_run(request))
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    sys.stderr.flush()
                    os._exit(70)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
