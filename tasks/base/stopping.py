"""
SIGINT, SIGTERM and SIGHUP, taken where they do no harm.

Inside :func:`stoppable` the first signal is noted. It is raised as :class:`Cancelled` at once inside
:func:`interruptible` (our own long work), never inside :func:`sheltered` (reverting, taking down, writing down), and at
the next :func:`stop_if_asked` anywhere else: libraries that swallow exceptions never see it. Signals that follow
do not disturb the clean-up; where nothing of ours is at work (a library that hangs) the second one ends it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tasks.base.errors import Cancelled

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Doorkeeper:
    """What the process's main thread is doing: signals arrive there and nowhere else."""

    installed: bool = False
    asked: int | None = None
    working: int = 0
    sheltering: int = 0

    def on_signal(self, signum: int, _: FrameType | None) -> None:
        first = self.asked is None
        if first:
            self.asked = signum
        if not self.sheltering and (first if self.working else not first):
            raise Cancelled(self.asked or signum)


_door = _Doorkeeper()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _told_to_stay(signum: int) -> bool:
    """Whether ``nohup`` or the like wants this process to outlive its terminal: an ignored hang-up stays ignored."""
    return signum == signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN


@contextmanager
def stoppable() -> Iterator[None]:
    """
    Handle the signals inside; does nothing outside the main thread.

    Inside another one it takes the signals back from a library that took them meanwhile (Prefect takes SIGTERM for each flow).

    Raises:
        Cancelled: On leaving without an exception, when a signal came and nobody raised it.
    """
    if not _in_main_thread():
        yield
        return
    outermost = not _door.installed
    if outermost:
        _door.installed, _door.asked = True, None
    before = {signum: signal.signal(signum, _door.on_signal) for signum in SIGNALS if not _told_to_stay(signum)}
    try:
        yield
        stop_if_asked()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        if outermost:
            _door.installed, _door.asked = False, None


@contextmanager
def interruptible() -> Iterator[None]:
    """Our own work: a signal raises :class:`Cancelled` at once, also one that came before."""
    if not _in_main_thread():
        yield
        return
    stop_if_asked()
    _door.working += 1
    try:
        yield
    finally:
        _door.working -= 1


@contextmanager
def sheltered() -> Iterator[None]:
    """What must not be cut short; a signal that comes meanwhile is raised when it is over, unless an exception is on its way."""
    if not _in_main_thread():
        yield
        return
    before = _door.asked
    _door.sheltering += 1
    try:
        yield
    finally:
        _door.sheltering -= 1
    if before is None:
        stop_if_asked()


def stop_if_asked() -> None:
    """
    Nothing, unless a signal came.

    Raises:
        Cancelled: One came.
    """
    if _door.asked is not None and not _door.sheltering and _in_main_thread():
        raise Cancelled(_door.asked)
