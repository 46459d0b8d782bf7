"""
Inside a target's container: what a look into it tells, and the shell scripts that hog it.

The scripts need a POSIX shell and ``sleep``, nothing else. Their processes carry a mark on the first line of the script, by
which they are found again, and end by themselves at a deadline on the kernel's own clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasks.base.errors import PreflightError

FOLDER = Path(__file__).with_name("inside")
MARK = "tidegauge-"


@dataclass(frozen=True, slots=True)
class Inside:
    """What a container says of itself."""

    processors: int
    """Of the node."""
    used_bytes: int
    """Memory that cannot be taken back from its processes."""
    largest_bytes: int
    """The same for the largest process."""
    node_free_bytes: int
    """Memory that the node could still give."""
    dead: int
    """Processes that have ended and that nobody has taken away."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What of a script is left in a container."""

    processes: tuple[int, ...]
    """Those that carry its mark, by their numbers in there."""
    dead: int
    """Dead processes that nobody has taken away, whosever they are."""


@lru_cache(maxsize=16)
def script(name: str) -> str:
    """The text of ``inside/NAME.sh``."""
    return (FOLDER / f"{name}.sh").read_text()


def argv_of(text: str, *arguments: str, mark: str = "tidegauge") -> list[str]:
    """The command line that runs *text*, so that *mark* is on its first line."""
    return ["sh", "-c", f": {mark}\n{text}", mark, *arguments]


def mark_of(fault: str) -> str:
    """The mark of a fault's processes."""
    return f"{MARK}{fault}"


def scan_argv(mark: str) -> list[str]:
    """The command line that tells what is left; it does not carry the mark itself."""
    return argv_of(script("scan"), mark)


def sweep_argv(mark: str, signal: str) -> list[str]:
    """The command line that sends *signal* (``TERM``, ``KILL``) to what is left, and tells what that was."""
    return argv_of(script("sweep"), mark, signal)


def look_argv() -> list[str]:
    """The command line of a look inside."""
    return argv_of(script("look"))


def read_inside(code: int | None, output: str, what: str) -> Inside:
    """
    What the look told.

    Raises:
        PreflightError: There is no shell in the container, or it cannot do what the scripts need.
    """
    try:
        told = _numbers(output)
        kib = {name: told[name] << 10 for name in ("used_kib", "largest_kib", "free_kib")}
        inside = Inside(max(1, told["processors"]), kib["used_kib"], kib["largest_kib"], kib["free_kib"], told["dead"])
    except (KeyError, ValueError):
        inside = None
    if code != 0 or inside is None:
        said = " ".join(output.split())[:200] or "nothing"
        raise PreflightError(
            f"{what} has no shell that could act (exit code {code}, it said: {said})",
            next_step="take a kind that needs none, such as cpu_starvation or service_outage",
        )
    return inside


def read_remains(output: str) -> Remains:
    """
    What the scan told.

    Raises:
        ValueError: It was cut off.
    """
    told = [line.split() for line in output.splitlines()]
    dead = [int(words[1]) for words in told if words[:1] == ["dead"]]
    if len(dead) != 1:
        raise ValueError("the look at its processes was cut off")
    return Remains(tuple(int(words[1]) for words in told if words[:1] == ["process"]), dead[0])


def _numbers(output: str) -> Mapping[str, int]:
    return {name: int(number) for name, number in (line.split() for line in output.splitlines())}
