"""What every command shares: its common options, and the only places that print."""

import contextlib
import json as jsonlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tasks.artifacts.store import Store
from tasks.base.errors import TidegaugeError
from tasks.base.progress import Progress, Report

DEFAULT_STORE = "tidegauge-data"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Options of every command."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print JSON on standard output, and nothing else there."""
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False
    """No progress."""
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False
    """More about what is decided and why."""
    store: Annotated[Path | None, Parameter(negative="")] = None
    """Where artifacts and runs are kept (or `TIDEGAUGE_STORE`; default: ./tidegauge-data)."""

    def open_store(self) -> Store:
        """The store, made when it is not there."""
        return Store(self.store_path()).create()

    def store_path(self) -> Path:
        """Its folder, made or not."""
        return (self.store or Path(os.environ.get("TIDEGAUGE_STORE") or DEFAULT_STORE)).expanduser().absolute()

    def show(self, value: Mapping[str, Any] | Sequence[Any], text: str) -> None:
        """The answer of a command: *value* with ``--json``, else *text*."""
        print(jsonlib.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) if self.json else text)

    def say(self, text: str) -> None:
        """A sentence on the way, to standard error."""
        if not self.quiet:
            _tell(text)

    def detail(self, text: str) -> None:
        """A sentence that only ``-v`` shows."""
        if self.verbose:
            _tell(text)

    def progress(self) -> Report:
        """A live line on a terminal, one line a minute otherwise."""
        return LiveLine() if sys.stderr.isatty() and not self.quiet else MinuteLines(silent=self.quiet)


def wants_json(tokens: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, even if it is wrong elsewhere."""
    return "--json" in tokens


def fail(error: TidegaugeError, json: bool) -> int:
    """Tell *error*; its exit code."""
    if json:
        told = {"error": error.message, "next": error.next_step, "exit_code": error.exit_code, **error.details}
        print(jsonlib.dumps(told))
    _tell(f"tidegauge: {error}")
    return error.exit_code


@dataclass(slots=True)
class LiveLine:
    """Rewrites one line of a terminal."""

    width: int = 0

    def __call__(self, step: Progress) -> None:
        """Show *step*."""
        text = _line(step) if step.lasting else _line(step)[: max(20, _columns() - 1)]
        end = "\n" if step.lasting or (step.total is not None and step.done >= step.total) else ""
        _tell("\r" + text.ljust(self.width), end=end)
        self.width = 0 if end else len(text)


@dataclass(slots=True)
class MinuteLines:
    """One line a minute and stage, and one when a stage begins or ends."""

    silent: bool = False
    last: dict[str, float] = field(default_factory=dict)

    def __call__(self, step: Progress) -> None:
        """Print *step* when it is due."""
        now = time.monotonic()
        ended = step.total is not None and step.done >= step.total
        if self.silent or not (ended or step.lasting or now - self.last.get(step.stage, -1e9) >= 60):
            return
        self.last[step.stage] = now
        _tell(_line(step))


def _columns() -> int:
    """Width of the terminal; 80 of one that has gone."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        return 80


def _tell(text: str, end: str = "\n") -> None:
    """A word on the way. That nobody listens any more (a closed terminal, ``| head``) is no reason to lose what is under way."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def _line(step: Progress) -> str:
    if step.total is None:
        return f"{step.stage}: {step.text}"
    bar = int(20 * min(1.0, step.done / step.total)) if step.total else 20
    return f"{step.stage} [{'#' * bar}{'.' * (20 - bar)}] {step.done:.0f}/{step.total:.0f} {step.unit}  {step.text}"
