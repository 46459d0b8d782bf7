"""One thread that waits for files, sockets and moments: all the supervisor does, it does here."""

from __future__ import annotations

import heapq
import itertools
import selectors
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

Act = Callable[[], None]


class HasFileno(Protocol):
    """Anything with a file descriptor."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Loop:
    """
    Calls back when a descriptor is ready or a moment has come; never from two places at once.

    A call that raises ends nothing: its traceback goes to standard error, and the next one is made.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Act]] = []
        self._order = itertools.count()

    def watch(self, source: HasFileno | int, act: Act, *, write: bool = False) -> None:
        """Call *act* whenever *source* can be read (or written, too); replaces what was asked before."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
        known: Any = self._selector.get_map()
        if source in known:
            self._selector.modify(source, events, act)
        else:
            self._selector.register(source, events, act)

    def forget(self, source: HasFileno | int) -> None:
        """Stop watching *source*; call before closing it."""
        self._selector.unregister(source)

    def at(self, moment_s: float, act: Act) -> None:
        """Call *act* once, when the monotonic clock shows *moment_s*."""
        heapq.heappush(self._timers, (moment_s, next(self._order), act))

    def every(self, interval_s: float, act: Act) -> None:
        """Call *act* now and every *interval_s*; calls that a busy or suspended machine missed are not made up for."""

        def again() -> None:
            _call(act)
            self.at(time.monotonic() + interval_s, again)

        self.at(time.monotonic(), again)

    def run(self, until: Callable[[], bool]) -> None:
        """Serve until *until* says so; it is asked after each turn."""
        while not until():
            timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _ in self._selector.select(timeout):
                if self._selector.get_map().get(key.fd) is key:  # an earlier call of this turn may have closed it
                    _call(key.data)
            self._run_timers()

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _call(heapq.heappop(self._timers)[2])


def _call(act: Act) -> None:
    try:
        act()
    except Exception:  # one bad reply must not take every service down
        sys.stderr.write(traceback.format_exc())
