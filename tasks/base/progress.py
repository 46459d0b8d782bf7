"""What long work reports while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of *stage*: *done* of *total* (in *unit*), and a sentence."""

    stage: str
    text: str
    done: float = 0.0
    total: float | None = None
    unit: str = "s"
    lasting: bool = False
    """Whether the sentence has to stay in sight, and whole: somebody is asked to do something."""


Report = Callable[[Progress], None]
"""Takes each report; must not raise and must return quickly."""


def silent(_: Progress) -> None:
    """Report to nobody."""


_reporter: ContextVar[Report] = ContextVar("reporter", default=silent)


def current_report() -> Report:
    """Where this context's long work reports to."""
    return _reporter.get()


@contextmanager
def reporting_to(report: Report) -> Iterator[None]:
    """Let long work inside report to *report*."""
    token = _reporter.set(report)
    try:
        yield
    finally:
        _reporter.reset(token)
