"""
A deadline over one whole reply, head and body.

A timeout begins anew with each byte: a server that sends one now and then would hold a request for ever.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Deadline:
    """
    Ends the connection that it holds when *after_s* are over, unless it was lifted before.

    Whoever reads from the connection then meets its end; *over* tells why.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(after_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def hold(self, connection: socket.socket | None) -> None:
        """Watch over *connection*; it is ended at once where the time is over already."""
        with self._lock:
            self._socket = connection
            self._shut()

    def lift(self) -> None:
        """The reply is there, or given up: its connection may serve another one."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        if self.over and isinstance(self._socket, socket.socket):
            with suppress(OSError):  # the other side was faster
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS: whoever reads there must not be disturbed by us


_CURRENT: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def under(deadline: Deadline, call: Callable[P, R]) -> Callable[P, R]:
    """*call*, during which *deadline* holds the connection that a reply is waited for on."""

    def held(*arguments: P.args, **named: P.kwargs) -> R:
        token = _CURRENT.set(deadline)
        try:
            return call(*arguments, **named)
        finally:
            _CURRENT.reset(token)

    return held


def hold(connection: socket.socket | None) -> None:
    """Let the deadline under which this is called watch over *connection*, where there is one."""
    deadline = _CURRENT.get()
    if deadline is not None:
        deadline.hold(connection)
